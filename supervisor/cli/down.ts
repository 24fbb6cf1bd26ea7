/** `paios down`. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Status } from '../../schemas/status.ts'
import { PaiosError } from '../errors.ts'
import { accepted, call, isListening, request } from './client.ts'
import type { Command, Invocation } from './command.ts'
import { createProgress } from './settle.ts'

/**
 * How often the socket is tried once the supervisor has said that all is stopped: it ends at once, so wait
 * finely.
 */
const GONE_POLL_MS = 5
const DRAIN_POLL_MS = 1_000
/** A supervisor that holds the lock listens within half a second; a slow disk may take it far longer. */
const BOOT_LIMIT_MS = 30_000
const BOOT_POLL_MS = 50

/** Stops everything and ends the supervisor and its keeper. */
export const command: Command = {
  usage: 'down',
  about:
    'Stops every service in reverse order of need, each by its own stop steps, then ends the supervisor and its\n' +
    'keeper. The mesh stays down over reboots until `paios up`. Without a supervisor it stops what still lives.',
  flags: {},
  operands: { min: 0, max: 0 },
  examples: [['paios down', 'stop the whole mesh']],
  run,
}

async function run(invocation: Invocation): Promise<number> {
  const { home, json, out, err } = invocation
  const drain = watchDrain(invocation)
  let left: readonly string[] = []
  try {
    left = accepted<{ left?: readonly string[] }>(await request(home, 'POST', '/down', {})).left ?? []
  } catch (error) {
    if (!(error instanceof PaiosError && error.code === 'no-supervisor')) throw error
    if (!(await isListening(home))) return withoutSupervisor(invocation, error)
    // The supervisor ended while it answered; what counts is whether it is gone, which the wait below tells.
  } finally {
    drain.end()
  }
  while (await isListening(home)) await new Promise((resolve) => setTimeout(resolve, GONE_POLL_MS))
  for (const line of left) err(`paios: not stopped: ${line}\n`)
  out(json ? `${JSON.stringify({ ok: left.length === 0, left })}\n` : 'the mesh is down\n')
  return left.length === 0 ? 0 : 1
}

async function withoutSupervisor(invocation: Invocation, error: PaiosError): Promise<number> {
  const { home } = invocation
  if (!existsSync(join(home, 'state', 'journal.db'))) throw error
  const { offlineDown } = await import('../main.ts')
  try {
    return await offlineDown(home)
  } catch (held) {
    // The keeper has just started the next supervisor, which does not listen yet.
    if (!(held instanceof PaiosError && held.code === 'supervisor-running')) throw held
    if (!(await waitListening(home))) throw held
    return run(invocation)
  }
}

async function waitListening(home: string): Promise<boolean> {
  const deadline = performance.now() + BOOT_LIMIT_MS
  while (performance.now() < deadline) {
    if (await isListening(home)) return true
    await new Promise((resolve) => setTimeout(resolve, BOOT_POLL_MS))
  }
  return false
}

/** On a terminal, shows what still stops and when it is killed. */
function watchDrain(invocation: Invocation): { readonly end: () => void } {
  if (!invocation.tty || invocation.json) return { end: () => undefined }
  const progress = createProgress(invocation)
  const startedMs = performance.now()
  const show = async () => {
    const status = await call<Status>(invocation.home, 'GET', '/status').catch(() => null)
    if (status !== null)
      progress.show(
        status.services.filter(({ state }) => state === 'stopping'),
        performance.now() - startedMs,
      )
  }
  const timer = setInterval(() => void show(), DRAIN_POLL_MS)
  return {
    end() {
      clearInterval(timer)
      progress.end()
    },
  }
}
