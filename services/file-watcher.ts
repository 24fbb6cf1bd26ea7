/** A program that works on what appears in a folder. That it runs says little: its folder and its beat say more. */
import { z } from 'zod'
import { defineService } from '../schemas/preset.ts'
import { argv, commonFields, type ServiceSpecInput } from '../schemas/service.ts'
import { beats } from './heartbeat.ts'
import { homePath } from './listening.ts'

const settings = {
  command: argv,
  /** The folder that it watches; it must be there before a start. */
  folder: homePath,
  /** It touches the file that PAIOS_HEARTBEAT names at least this often; a silence longer than that restarts it. */
  heartbeat: commonFields.startTimeout.unwrap().optional(),
  /** From this many entries in the folder on the work piles up: degraded. */
  backlog: z.int().min(1).max(1_000_000).optional(),
  /** A file that it writes, and how old that may become before it counts as degraded. */
  output: z.strictObject({ path: homePath, maxAge: commonFields.startTimeout.unwrap() }).optional(),
}
type Settings = z.output<z.ZodObject<typeof settings>>

function probes({ folder, heartbeat, backlog, output }: Settings): NonNullable<ServiceSpecInput['probes']> {
  return [
    // Repeated while it runs: a disk that is unmounted leaves a watcher that watches nothing.
    { kind: 'file', name: 'folder', role: 'preflight', path: folder, every: '1m', failureThreshold: 1 },
    ...(backlog === undefined
      ? []
      : [
          {
            kind: 'file',
            name: 'backlog',
            role: 'readiness',
            path: folder,
            fewerThan: backlog,
            every: '30s',
          } as const,
        ]),
    ...(output === undefined
      ? []
      : [
          {
            kind: 'file',
            name: 'output',
            role: 'readiness',
            path: output.path,
            maxAge: `${output.maxAge}ms`,
            every: '30s',
          } as const,
        ]),
    ...beats(heartbeat),
  ]
}

/** A watcher of one folder. */
export const fileWatcher = defineService({
  id: 'file-watcher',
  summary: 'A program that works on what appears in a folder: folder, backlog, output and heartbeat',
  settings,
  spec: (chosen) => ({
    kind: 'daemon',
    command: chosen.command,
    probes: probes(chosen),
    exits: [
      {
        log: 'ENOSPC: System limit for number of file watchers reached|inotify watch limit reached',
        class: 'fatal',
        reason: 'the system allows no more file watches (fs.inotify.max_user_watches)',
      },
      {
        log: 'EMFILE: too many open files|Too many open files',
        class: 'failure',
        reason: 'it has too many files open',
      },
    ],
    runbook: 'file-watcher.md',
  }),
})
