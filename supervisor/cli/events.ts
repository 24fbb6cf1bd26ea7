/** `paios events`. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { JournalEvent } from '../../schemas/status.ts'
import { PaiosError } from '../errors.ts'
import type { OfflineEvents } from '../main.ts'
import { call, follow } from './client.ts'
import type { Command, Invocation } from './command.ts'
import { renderEvent } from './render.ts'
import { sinceMs } from './timestamps.ts'

const DEFAULT_COUNT = 50

/** Shows the journal's events, or the chain of causes of one. */
export const command: Command = {
  usage: 'events [-f] [-n COUNT] [--since WHEN] [--service NAME] [--why ID]',
  about:
    'Shows what happened, oldest first, each with its number. --why shows what led to an event, first cause first.\n' +
    'Without a supervisor the journal is read as it was left.',
  flags: {
    follow: { short: 'f', value: null, help: 'go on until Ctrl-C' },
    count: { short: 'n', value: 'COUNT', help: `at most the last COUNT events (${DEFAULT_COUNT})` },
    since: { value: 'WHEN', help: 'events of the last 10m, 2h, 3d, or since an instant' },
    service: { value: 'NAME', help: 'only those of one service' },
    why: { value: 'ID', help: 'the chain of causes that led to event ID' },
  },
  operands: { min: 0, max: 0 },
  examples: [
    ['paios events -f', 'watch what happens'],
    ['paios events --since 2h --service gateway', 'what happened to the gateway in the last two hours'],
    ['paios events --why 1234', 'why event 1234 came about'],
  ],
  run,
}

async function run(invocation: Invocation): Promise<number> {
  const { home, json, text, out } = invocation
  const why = text('why')
  const print = (event: JournalEvent) => {
    out(json ? `${JSON.stringify(event)}\n` : `${renderEvent(event, Date.now(), invocation)}\n`)
  }
  if (why !== null) {
    if (!/^#?\d+$/.test(why)) throw new PaiosError('usage', `--why '${why}' is no event number`)
    const id = why.replace('#', '')
    const chain = await call<JournalEvent[]>(home, 'GET', `/why/${id}`).catch((error: unknown) =>
      offline(home, error, (read) => read.why(Number(id))),
    )
    if (json) out(`${JSON.stringify(chain)}\n`)
    else chain.forEach(print)
    return 0
  }
  const query = new URLSearchParams({ limit: String(countOf(invocation, DEFAULT_COUNT)) })
  const since = text('since')
  if (since !== null) query.set('since', new Date(await sinceMs(since, Date.now())).toISOString())
  const service = text('service')
  if (service !== null) query.set('service', service)
  const stop = new AbortController()
  if (invocation.has('follow')) {
    query.set('follow', '1')
    process.once('SIGINT', () => stop.abort())
  }
  const lines = follow(
    home,
    `/events?${query}`,
    (line) => print(JSON.parse(line) as JournalEvent),
    stop.signal,
  )
  await lines.catch(async (error: unknown) => {
    if (invocation.has('follow')) throw error
    const asked = {
      after: 0,
      limit: Number(query.get('limit')),
      service: query.get('service'),
      sinceMs: query.has('since') ? Date.parse(query.get('since') ?? '') : null,
    }
    const events = await offline(home, error, (read) => read.events(asked))
    events.forEach(print)
  })
  if (invocation.has('follow') && !stop.signal.aborted) {
    throw new PaiosError('no-supervisor', `the supervisor for ${home} has ended`)
  }
  return 0
}

/** What the journal still tells without a supervisor; rethrows where that is not the trouble, or nothing ever ran. */
async function offline(
  home: string,
  error: unknown,
  ask: (read: OfflineEvents) => JournalEvent[],
): Promise<JournalEvent[]> {
  if (!(error instanceof PaiosError && error.code === 'no-supervisor')) throw error
  if (!existsSync(join(home, 'state', 'journal.db'))) throw error
  const { offlineEvents } = await import('../main.ts')
  return offlineEvents(home, ask)
}

/** The value of `-n`; throws PaiosError `usage` where it is no whole number from 0 up. */
export function countOf({ text }: Invocation, fallback: number): number {
  const written = text('count')
  if (written === null) return fallback
  if (!/^\d{1,7}$/.test(written)) throw new PaiosError('usage', `-n '${written}' is no number of lines`)
  return Number(written)
}
