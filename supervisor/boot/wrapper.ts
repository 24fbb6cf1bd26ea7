/**
 * The two programs that stay the same over upgrades: what systemd or launchd starts, and `paios` for people.
 * Both lead through versions/current. launchd remembers the program that it was given and announces a
 * changed one, so an upgrade moves the link and leaves these bytes alone. Pure: settings in, text out.
 */

/** A word that /bin/sh takes as it is. Throws on a NUL, which no path has. */
export function shellWord(text: string): string {
  if (text.includes('\0')) throw new Error('a path cannot contain a NUL')
  return `'${text.replaceAll("'", "'\\''")}'`
}

const findVersion = (home: string) => [
  `versions=${shellWord(`${home}/versions`)}`,
  // The name is read once: a link that moves meanwhile must not mix two versions.
  'version="$versions/$(readlink "$versions/current")" || exit 1',
]

/**
 * In the program that never changes, since a version that does not even load may be started for weeks. Nobody else
 * writes to the log meanwhile, and its file stays the same, which systemd and launchd have opened to append to it.
 */
const trimBootLog = (home: string) => [
  `log=${shellWord(`${home}/logs/supervisor/boot.log`)}`,
  '# Grown beyond 1 MiB it is cut to its last 256 KiB.',
  'if [ -f "$log" ] && [ $(wc -c <"$log") -gt 1048576 ]; then',
  '  tail -c 262144 "$log" >"$log.part" && cat "$log.part" >"$log"',
  '  rm -f "$log.part"',
  'fi',
]

/** bin/paios-supervisor: becomes the supervisor of the home. */
export function supervisorWrapper(home: string): string {
  return [
    '#!/bin/sh',
    '# The supervisor of this home, of the version in force. Written by paios install; started by systemd or launchd.',
    ...trimBootLog(home),
    ...findVersion(home),
    `PAIOS_HOME=${shellWord(home)}`,
    'export PAIOS_HOME',
    'exec /bin/sh "$version/app/supervisor/shell/supervise.sh" "$version/bin/node" "$version/app/bin/paios.mjs"',
    '',
  ].join('\n')
}

/** bin/paios: the command line of the version in force; PAIOS_HOME is this home unless it is set. */
export function commandWrapper(home: string): string {
  return [
    '#!/bin/sh',
    '# paios, of the version in force. Written by paios install.',
    ...findVersion(home),
    `: "\${PAIOS_HOME:=${home.replaceAll(/[\\"$`]/g, '\\$&')}}"`,
    'export PAIOS_HOME',
    'exec "$version/bin/node" "$version/app/bin/paios.mjs" "$@"',
    '',
  ].join('\n')
}
