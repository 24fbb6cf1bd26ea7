/**
 * What OpenClaw's own account of its channels means for an operator. `/readyz` only names a channel that fails, and
 * only two minutes after it began; here it is told apart whether its token is dead, another program uses the same
 * token, or there is no network. Reproduced with 2026.9.6 and a double of Telegram's service.
 */
import { valueAt } from './dotted-path.ts'
import { excerpt } from './excerpt.ts'
import { isObject, type Members, textAt } from './json.ts'

/** A channel has two minutes to connect; the gateway's own `/readyz` waits for as long. */
const CONNECT_MS = 120_000
/** A poll of Telegram ends after 30 s at most, and counts as a sign of life. */
const SILENCE_MS = 120_000

/** Telegram's tokens are part of its addresses, which errors of the network quote. */
const TOKEN = /\b(?:bot)?\d{6,}:[\w-]{20,}/g

/** What an operator has to know of a channel's last error; the first that matches. */
const MEANINGS: readonly (readonly [RegExp, string])[] = [
  [/unauthorized|returned 401/i, 'its token is refused: put in a new one, a restart does not help'],
  [
    /restart-loop breaker/i,
    'it is muted after unclean starts: leave it alone for 5 min, then restart it once',
  ],
  [/conflict/i, 'another program uses the same token: stop that one'],
  [
    /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ENETUNREACH|ETIMEDOUT|network|fetch failed|tim(?:ed |e-?)out/i,
    'no network to its service: it goes on trying',
  ],
]

function meaningOf(lastError: string): string {
  const known = MEANINGS.find(([pattern]) => pattern.test(lastError))
  return known?.[1] ?? excerpt(lastError.replace(TOKEN, '(token)'))
}

/** What is wrong with one account of a channel, null if nothing; `now` is the gateway's own clock. */
function faultOf(account: Members, now: number): string | null {
  const { enabled, configured, connected, running, lifecycle, terminalDisconnect } = account
  const { lastStartAt, lastTransportActivityAt, restartPending, mode } = account
  if (enabled === false || configured === false) return null
  if (connected === true) {
    const isSilent =
      mode === 'polling' &&
      typeof lastTransportActivityAt === 'number' &&
      now - lastTransportActivityAt > SILENCE_MS
    return isSilent ? 'it is connected, and has heard nothing for more than 2 min' : null
  }
  const isShutOff = terminalDisconnect === true || lifecycle === 'blocked'
  // One that runs and does not tell whether it is connected is believed.
  if (!isShutOff && running !== false && connected === undefined) return null
  const lastError = textAt(account, 'lastError')
  if (lastError !== null && lastError !== '') return meaningOf(lastError)
  if (isShutOff) return 'it is shut off, and a restart does not help'
  const isFresh = typeof lastStartAt === 'number' && now - lastStartAt < CONNECT_MS
  if (isFresh || restartPending === true) return null
  return running === false
    ? 'it does not run, and nothing starts it'
    : 'it has not connected since its start: no network, or its service does not answer'
}

/** The faults in the answer of `channels.status`, such as `telegram: …`; empty if all channels are well. */
export function channelFaults(payload: unknown): string[] {
  const now = valueAt(payload, 'ts')
  const channels = valueAt(payload, 'channelAccounts')
  if (typeof now !== 'number' || !isObject(channels)) return []
  return Object.entries(channels).flatMap(([channel, accounts]) =>
    (Array.isArray(accounts) ? accounts : []).filter(isObject).flatMap((account) => {
      const fault = faultOf(account, now)
      const id = textAt(account, 'accountId')
      const name = id === null || id === 'default' ? channel : `${channel} (${excerpt(id)})`
      return fault === null ? [] : [`${name}: ${fault}`]
    }),
  )
}
