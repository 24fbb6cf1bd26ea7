/** ntfy as a channel: a topic of ntfy.sh or of a server of one's own, published to as JSON. */
import { basename } from 'node:path'
import type { Notice, Severity } from '../core/alert.ts'
import { type Channel, connectionTrouble, type Outcome } from './channel.ts'
import { MissingSecret, type Secrets } from './secrets.ts'
import { cut } from './telegram-text.ts'

/** A request ends after this at the latest. */
const TIMEOUT_MS = 10_000
/** ntfy turns what is longer than 4,096 bytes into an attachment; a character has at most three. */
const MESSAGE_MAX = 1_300
const PRIORITY: Readonly<Record<Severity, number>> = { critical: 5, warning: 3, info: 2 }

export type NtfyOptions = {
  /** As in the document; references are read at each use. */
  readonly url: string
  readonly token: string | null
  readonly secrets: Secrets
  readonly outside: (text: string) => string
}

/** How one notice reaches one topic. An edit is a new message, since a topic has no others. */
export function ntfyDelivery({
  url,
  token,
  secrets,
  outside,
}: NtfyOptions): Pick<Channel, 'deliver' | 'check'> {
  async function ask(
    work: (topic: URL, headers: Record<string, string>, signal: AbortSignal) => Promise<Response>,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const limit = AbortSignal.timeout(TIMEOUT_MS)
    try {
      const headers: Record<string, string> =
        token === null ? {} : { authorization: `Bearer ${secrets.resolve(token)}` }
      const answer = await work(new URL(secrets.resolve(url)), headers, AbortSignal.any([signal, limit]))
      await answer.arrayBuffer()
      return outcomeOf(answer.status, Number(answer.headers.get('retry-after')) || null)
    } catch (error) {
      if (error instanceof MissingSecret) return { kind: 'fault', reason: 'auth', text: error.message }
      if (limit.aborted)
        return { kind: 'failed', reason: 'timeout', text: `no answer within ${TIMEOUT_MS / 1000} s` }
      return { kind: 'failed', reason: 'network', text: connectionTrouble(error as Error) }
    }
  }
  return {
    deliver(message, _, signal) {
      const notice = JSON.parse(message.body) as Notice
      return ask((topic, headers, limit) => {
        const body = JSON.stringify({
          topic: basename(topic.pathname),
          title: cut(outside(notice.title), 200),
          message: cut(notice.lines.map(outside).join('\n') || notice.kind, MESSAGE_MAX),
          priority: notice.sound ? PRIORITY[notice.severity] : Math.min(2, PRIORITY[notice.severity]),
          tags: [notice.kind === 'closed' ? 'white_check_mark' : notice.severity],
        })
        return fetch(new URL('.', topic), { method: 'POST', headers, body, redirect: 'error', signal: limit })
      }, signal)
    },
    check: (signal) =>
      ask(
        (topic, headers, limit) =>
          fetch(new URL('v1/health', new URL('.', topic)), { headers, redirect: 'error', signal: limit }),
        signal,
      ),
  }
}

function outcomeOf(status: number, retryAfterS: number | null): Outcome {
  if (status < 300) return { kind: 'sent', remote: null, bug: null }
  const text = `answer ${status}`
  if (status === 429) return { kind: 'wait', ms: (retryAfterS ?? 30) * 1_000 }
  if (status === 401 || status === 403) return { kind: 'fault', reason: 'auth', text }
  if (status >= 500) return { kind: 'failed', reason: 'server', text }
  return { kind: 'rejected', text }
}
