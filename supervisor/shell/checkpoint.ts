/**
 * The program that writes the WAL of a database back into it as far as that goes without waiting for anybody. A process
 * of its own, since POSIX locks belong to a process and a damaged file may end it.
 */
import { existsSync, realpathSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'

/** What SQLite answers: `busy` 1 where somebody kept it from going on, and the pages of the WAL. */
export type Checkpoint = { readonly busy: number; readonly log: number; readonly checkpointed: number }

const [, , path = ''] = process.argv
if (!existsSync(path)) throw new Error(`${path} does not exist`)
const file = realpathSync(path)
// Without them it is closed: there is nothing to write back, and opening it would leave files.
if (existsSync(`${file}-wal`)) {
  const database = new DatabaseSync(file, { timeout: 0 })
  const row = database.prepare('PRAGMA wal_checkpoint(PASSIVE)').get()
  process.stdout.write(JSON.stringify(row))
} else process.stdout.write(JSON.stringify({ busy: 0, log: 0, checkpointed: 0 } satisfies Checkpoint))
