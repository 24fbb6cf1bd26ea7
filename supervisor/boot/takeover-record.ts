/** The records of takeovers: one file per service, written whole and durably before anything is done. */
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type TakeoverRecord, takeoverRecord } from '../../schemas/takeover.ts'
import { PaiosError } from '../errors.ts'
import { textOf, writeIfOther } from './files.ts'

const folderOf = (home: string) => join(home, 'takeover')

/** Where the record of a service is. */
export const recordPath = (home: string, service: string): string => join(folderOf(home), `${service}.json`)

/** The record of a service, null if there is none. Throws refused for one that cannot be understood. */
export function readRecord(home: string, service: string): TakeoverRecord | null {
  const path = recordPath(home, service)
  const text = textOf(path)
  if (text === null) return null
  try {
    return takeoverRecord.parse(JSON.parse(text))
  } catch (cause) {
    const what = `${path} cannot be understood, so nothing is undone by it: enable and start the unit or job yourself`
    throw new PaiosError('refused', `${what}, put \`observe: true\` back, and remove the file`, { cause })
  }
}

/** Writes a record down. */
export function writeRecord(home: string, record: TakeoverRecord): void {
  writeIfOther(recordPath(home, record.service), `${JSON.stringify(record, null, 2)}\n`, 0o600)
}

/** What was taken over is given back, or never was. */
export function removeRecord(home: string, service: string): void {
  rmSync(recordPath(home, service), { force: true })
}

/** The services that have a record. */
export function recordedServices(home: string): string[] {
  const folder = folderOf(home)
  if (!existsSync(folder)) return []
  return readdirSync(folder).flatMap((name) => (name.endsWith('.json') ? [name.slice(0, -5)] : []))
}
