/**
 * The program that writes the WAL of a database back into it and cuts its file, as far as that goes without waiting for
 * anybody. A process of its own, since POSIX locks belong to a process and a damaged file may end it.
 */
import { existsSync, realpathSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'

/** The pages of the WAL, how many of them are written back now, and whether its file was cut to nothing. */
export type Checkpoint = { readonly log: number; readonly checkpointed: number; readonly isCut: boolean }

/** What SQLite answers: `busy` 1 where somebody kept it from going on. */
type Row = { readonly busy: number; readonly log: number; readonly checkpointed: number }

const [, , path = ''] = process.argv
if (!existsSync(path)) throw new Error(`${path} does not exist`)
const file = realpathSync(path)

function checkpoint(): Checkpoint {
  // Without it there is nothing to write back, and opening the database would leave files.
  if (!existsSync(`${file}-wal`)) return { log: 0, checkpointed: 0, isCut: true }
  const database = new DatabaseSync(file, { timeout: 0 })
  const pragma = (mode: string) => database.prepare(`PRAGMA wal_checkpoint(${mode})`).get() as Row
  // The long part keeps no writer out; only then are they kept out for the moment that the cut takes.
  const { log, checkpointed } = pragma('PASSIVE')
  return { log, checkpointed, isCut: pragma('TRUNCATE').busy === 0 }
}

process.stdout.write(JSON.stringify(checkpoint()))
