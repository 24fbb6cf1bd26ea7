/** What `paios takeover` writes down before it acts, so that `paios release` can undo it, whatever happened since. */
import { z } from 'zod'

/** `PAIOS_HOME/takeover/SERVICE.json`. */
export const takeoverRecord = z.strictObject({
  version: z.literal(1),
  service: z.string(),
  at: z.iso.datetime(),
  /** How far it is; all but `taken` stand for something that was interrupted. */
  step: z.enum(['intended', 'stopped', 'declared', 'taken', 'releasing']),
  /** The unit or job as it was. */
  owner: z.strictObject({
    init: z.enum(['systemd', 'launchd']),
    name: z.string(),
    file: z.string(),
    /** SHA-256 of the file; null if it had none. */
    fileHash: z.string().nullable(),
    isEnabled: z.boolean(),
    isActive: z.boolean(),
    pid: z.int().nullable(),
  }),
  /** The ports of the service on which the program listened; it is back when it listens there again. */
  ports: z.array(z.int()),
  /** The document before and after; null if it declared the service as ours already. */
  document: z.strictObject({ before: z.string(), after: z.string(), entry: z.string() }).nullable(),
})

/** The record of one service. */
export type TakeoverRecord = z.output<typeof takeoverRecord>
