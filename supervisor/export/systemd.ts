/**
 * The systemd user unit, settings in, text out. What each line is for:
 * - Type=notify and WatchdogSec: systemd knows when the supervisor answers, and ends one that has stopped
 *   beating. NotifyAccess=all, since the message may come from systemd-notify.
 * - ExecStart by /bin/sh, since systemd takes no quotes in the path of a program; it becomes the supervisor.
 * - KillMode=process: only the supervisor gets a signal; the services live on and are adopted.
 * - Restart=on-failure, not after 77 (must not run): `paios down` ends with 0 and stays down.
 * - No MemoryMax and no other limit: it would hold for every service, too.
 * Tried on systemd 252; keys that need a later one are left out.
 */
import { PaiosError } from '../errors.ts'

/** `path`: PATH of the services. All paths absolute. */
export type UnitSettings = {
  readonly home: string
  readonly program: string
  readonly bootLog: string
  readonly path: string
  readonly lang: string
}

/**
 * The unit's text. Throws PaiosError `usage` for a path with a control character, which a unit cannot hold.
 */
export function systemdUnit({ home, program, bootLog, path, lang }: UnitSettings): string {
  for (const text of [home, program, bootLog, path, lang]) {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
    if (/[\u0000-\u001f\u007f]/.test(text)) {
      throw new PaiosError(
        'usage',
        `a unit of systemd cannot hold a control character: ${JSON.stringify(text)}`,
      )
    }
  }
  return `# Written by paios install; paios uninstall removes it. Changes made here are seen by paios doctor.
[Unit]
Description=PAIOS supervisor (${percent(home)})
StartLimitIntervalSec=300
StartLimitBurst=10

[Service]
Type=notify
NotifyAccess=all
ExecStart=/bin/sh ${word(program).replaceAll('$', '$$$$')}
WorkingDirectory=${percent(home)}
Environment=${word(`PAIOS_BOOT=systemd`)} ${word(`PATH=${path}`)} ${word(`LANG=${lang}`)}
KillMode=process
TimeoutStartSec=60
TimeoutStopSec=45
WatchdogSec=60
WatchdogSignal=SIGKILL
Restart=on-failure
RestartPreventExitStatus=77
SuccessExitStatus=77
RestartSec=2
OOMPolicy=continue
UMask=0077
LimitNOFILE=8192:524288
StandardOutput=append:${percent(bootLog)}
StandardError=inherit

[Install]
WantedBy=default.target
`
}

/** The PATH and LANG that a unit of ours was written with, null where its text has none. */
export function unitEnvironment(text: string): Pick<UnitSettings, 'path' | 'lang'> | null {
  const line = /^Environment=(.*)$/m.exec(text)?.[1] ?? ''
  const words = [...line.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map((match) => plain(match[1] ?? ''))
  const value = (name: string) => words.find((one) => one.startsWith(`${name}=`))?.slice(name.length + 1)
  const [path, lang] = [value('PATH'), value('LANG')]
  return path === undefined || lang === undefined ? null : { path, lang }
}

/** Text in a unit, in which % begins a specifier. */
export const percent = (text: string) => text.replaceAll('%', '%%')
/** One word of a line of a unit. */
export const word = (text: string) => `"${percent(text).replaceAll(/["\\]/g, '\\$&')}"`
const plain = (text: string) => text.replaceAll(/\\(.)/g, '$1').replaceAll('%%', '%')
