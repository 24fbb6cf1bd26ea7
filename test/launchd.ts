/** The model of launchd (test/fixtures/fake-launchctl.mjs) in a folder of its own, as a program to be called. */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { until } from './e2e/mesh.ts'

const MODEL = resolve(import.meta.dirname, 'fixtures/fake-launchctl.mjs')

/** What the model shows of a job; see the fixture. */
type Job = {
  readonly host: number
  readonly pid: number | null
  readonly runs: number
  readonly state: string
}

/** One model. */
export type FakeLaunchd = {
  /** Path of a launchctl. */
  readonly program: string
  /** Makes it misbehave from now on; see the fixture. */
  fault(faults: Readonly<Record<string, unknown>>): void
  /** The verbs that were called since the last asking, without print. */
  calls(): string[]
  job(label: string): Job | null
  /** Ends every job and what plays launchd for it. */
  end(): Promise<void>
}

/** Makes a model below a folder. Times of launchd itself are a tenth of the real ones. */
export function fakeLaunchd(folder: string): FakeLaunchd {
  const state = join(folder, 'launchd')
  mkdirSync(state)
  const program = join(folder, 'launchctl')
  writeFileSync(program, `#!/bin/sh\nFAKE_LAUNCHD='${state}' exec '${process.execPath}' '${MODEL}' "$@"\n`)
  chmodSync(program, 0o755)
  const log = join(state, 'calls.log')
  const fault: FakeLaunchd['fault'] = (faults) =>
    writeFileSync(join(state, 'faults.json'), JSON.stringify({ scale: 0.1, ...faults }))
  fault({})
  const job: FakeLaunchd['job'] = (label) => {
    const path = join(state, `${label}.job`)
    return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as Job) : null
  }
  return {
    program,
    fault,
    job,
    calls() {
      const text = existsSync(log) ? readFileSync(log, 'utf8') : ''
      rmSync(log, { force: true })
      return text.split('\n').filter((line) => line !== '' && !line.startsWith('print'))
    },
    async end() {
      fault({})
      const labels = readdirSync(state)
        .filter((name) => name.endsWith('.job'))
        .map((name) => name.slice(0, -4))
      for (const label of labels) {
        const host = job(label)?.host
        if (host) process.kill(host, 'SIGTERM')
      }
      await until('every job is gone', () => labels.every((label) => job(label) === null))
    },
  }
}
