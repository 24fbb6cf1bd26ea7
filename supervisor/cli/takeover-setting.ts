/** What takeover and release hand to their steps: this home's place, its supervisor, systemd or launchd. */

import type { Status } from '../../schemas/status.ts'
import type { TakeoverSetting } from '../boot/release.ts'
import type { PreflightResult } from '../core/event.ts'
import { PaiosError } from '../errors.ts'
import { call } from './client.ts'
import type { Invocation } from './command.ts'
import { documentPath } from './document.ts'

/** The setting of a command. With `--json` the steps are not told. Throws init-unavailable. */
export async function takeoverSetting({ home, json, out }: Invocation): Promise<TakeoverSetting> {
  const [{ placeOf }, { openOwners }, { openProcessTable }] = await Promise.all([
    import('../boot/place.ts'),
    import('../boot/owner.ts'),
    import('../shell/process-table.ts'),
  ])
  return {
    place: placeOf(home),
    document: documentPath(home),
    owners: await openOwners(),
    table: openProcessTable(),
    tell: (line) => (json ? undefined : out(`${line}\n`)),
    asks: {
      status: () => statusOf(home),
      up: async (retry) => void (await call(home, 'POST', '/up', { dryRun: false, retry })),
      start: async (name) => void (await call(home, 'POST', '/start', { name })),
      stop: async (name) => void (await call(home, 'POST', '/stop', { name, withDependents: false })),
      preflight: async (name, pids) => {
        const body = { name, pids }
        return (await call<{ checks: PreflightResult[] }>(home, 'POST', '/preflight', body)).checks
      },
    },
  }
}

async function statusOf(home: string): Promise<Status | null> {
  try {
    return await call<Status>(home, 'GET', '/status')
  } catch (error) {
    if (error instanceof PaiosError && error.code === 'no-supervisor') return null
    throw error
  }
}

/** Ctrl-C between two steps leaves what the record can put back; it says so. Returns what ends that. */
export function onInterrupt(service: string, { err }: Invocation): () => void {
  const interrupted = () => {
    err(`\npaios: interrupted: paios release ${service} puts everything back\n`)
    process.exit(130)
  }
  process.once('SIGINT', interrupted)
  return () => process.removeListener('SIGINT', interrupted)
}
