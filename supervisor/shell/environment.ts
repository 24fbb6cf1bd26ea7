/** The environment that a service declares, and the program that its command means in it. */
import { accessSync, constants, statSync } from 'node:fs'
import { homedir, tmpdir, userInfo } from 'node:os'
import { delimiter, dirname, isAbsolute, join, resolve } from 'node:path'
import type { ServiceSpec } from '../../schemas/service.ts'
import { expandHome } from './secrets.ts'

let ownPath: string | null = null

/** PATH for services: the supervisor's own, without the folders that npm and our pinned node add to it. */
export function servicePath(): string {
  ownPath ??= withoutNpm(process.env['PATH'] ?? '/usr/local/bin:/usr/bin:/bin')
  return ownPath
}

/** A PATH without the folders that npm and our pinned node add to it. */
export function withoutNpm(path: string): string {
  const own = dirname(process.execPath)
  const kept = path
    .split(delimiter)
    .filter(
      (folder) =>
        folder !== '' && folder !== own && !/node_modules\/(\.bin|npm\/|@npmcli\/)|node-gyp-bin/.test(folder),
    )
  return [...new Set(kept)].join(delimiter) || '/usr/local/bin:/usr/bin:/bin'
}

/** The user's name; the number where the system has no name for it, as for the free users of containers. */
export function userName(): string {
  try {
    return userInfo().username
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_SYSTEM_ERROR') throw error
    return String(process.getuid?.() ?? '')
  }
}

/** PATH, HOME, USER, LANG, TMPDIR and TZ, plus what the spec declares (already resolved), plus the marker. */
export function declaredEnvironment(
  declared: Readonly<Record<string, string>>,
  marker: Record<string, string>,
): Record<string, string> {
  const env: Record<string, string> = {
    PATH: servicePath(),
    HOME: process.env['HOME'] ?? homedir(),
    USER: process.env['USER'] ?? userName(),
    LANG: process.env['LANG'] ?? 'C.UTF-8',
    TMPDIR: process.env['TMPDIR'] ?? tmpdir(),
  }
  if (process.env['TZ']) env['TZ'] = process.env['TZ']
  return { ...env, ...declared, ...marker }
}

/** An environment with a probe's changes: see ConverseOptions. */
export function changedEnvironment(
  declared: Readonly<Record<string, string>>,
  changes: Readonly<Record<string, string | null>>,
): Record<string, string> {
  const beginnings = Object.keys(changes).flatMap((name) => (name.endsWith('*') ? [name.slice(0, -1)] : []))
  const kept = Object.entries(declared).filter(
    ([name]) => !beginnings.some((beginning) => name.startsWith(beginning)),
  )
  const changed = Object.entries({ ...Object.fromEntries(kept), ...changes })
  return Object.fromEntries(changed.filter((entry): entry is [string, string] => entry[1] !== null))
}

/** What a command's first word resolves to. */
export type Resolved =
  | { readonly kind: 'found'; readonly path: string }
  | { readonly kind: 'absent'; readonly reason: string }
  | { readonly kind: 'unusable'; readonly reason: string }

/** Finds the program of a command, or the one that is only watched, in the service's PATH, as execvp would. */
export function resolveProgram(
  spec: Pick<ServiceSpec, 'command' | 'program' | 'cwd'>,
  path: string,
): Resolved {
  const program = expandHome(spec.command?.[0] ?? spec.program ?? '')
  if (program.includes('/')) {
    const file = isAbsolute(program) ? program : resolve(expandHome(spec.cwd ?? homedir()), program)
    return look(file) ?? { kind: 'absent', reason: `${program} does not exist` }
  }
  let unusable: Resolved | null = null
  for (const folder of path.split(delimiter)) {
    const found = look(join(folder, program))
    if (found?.kind === 'found') return found
    if (found?.kind === 'unusable') unusable ??= found
  }
  return unusable ?? { kind: 'absent', reason: `${program} is not installed` }
}

function look(file: string): Resolved | null {
  try {
    const stat = statSync(file)
    if (stat.isDirectory()) return { kind: 'unusable', reason: `${file} is a folder, not a program` }
    if ((stat.mode & 0o111) === 0)
      return { kind: 'unusable', reason: `${file} is not executable: chmod +x ${file}` }
    accessSync(file, constants.X_OK)
    return { kind: 'found', path: file }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT' || code === 'ENOTDIR') return null
    return { kind: 'unusable', reason: `${file} cannot be run: ${code}` }
  }
}
