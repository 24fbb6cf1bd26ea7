/**
 * A client of Telegram's Bot API on the fetch of Node, of which this project needs ten methods. It never throws and
 * never repeats: what waits stays in the outbox, where it survives. No answer holds the token, which is part of
 * the address and so of every error that the libraries of others print.
 */
import type { ApiMethods, ApiResponse } from '@grammyjs/types'
import { connectionTrouble } from './channel.ts'
import { MissingSecret } from './secrets.ts'

/** A request ends after this at the latest, a long poll after its own time and this. */
const TIMEOUT_MS = 10_000

type Methods = ApiMethods<never>
/** The methods that are used. */
export type Method = Extract<
  keyof Methods,
  | 'getMe'
  | 'getUpdates'
  | 'getChat'
  | 'sendMessage'
  | 'editMessageText'
  | 'deleteMessage'
  | 'sendChatAction'
  | 'answerCallbackQuery'
  | 'setMyCommands'
>

/** What came back. `api`: Telegram itself refuses. */
export type Answer<T> =
  | { readonly ok: true; readonly result: T }
  | {
      readonly ok: false
      readonly kind: 'api'
      readonly code: number
      readonly text: string
      readonly retryAfterS: number | null
      readonly movedTo: number | null
    }
  | { readonly ok: false; readonly kind: 'network' | 'timeout' | 'server' | 'secret'; readonly text: string }

export type Telegram = {
  /** Calls a method; `patienceMs` is added to the time limit of ten seconds. */
  call<M extends Method>(
    method: M,
    params: Parameters<Methods[M]>[0],
    signal?: AbortSignal,
    patienceMs?: number,
  ): Promise<Answer<ReturnType<Methods[M]>>>
}

export type TelegramOptions = {
  /** Address of the server without a slash at its end. */
  readonly api: string
  /** Read at each call, so that a token that was replaced holds at once. Throws MissingSecret. */
  readonly token: () => string
}

/** The client of one bot. */
export function openTelegram({ api, token }: TelegramOptions): Telegram {
  return {
    async call(method, params, signal, patienceMs = 0) {
      const limit = AbortSignal.timeout(TIMEOUT_MS + patienceMs)
      let answer: { status: number; text: string }
      try {
        const response = await fetch(`${api}/bot${encodeURIComponent(token())}/${method}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(params ?? {}),
          // A redirection would hand the token to somebody else.
          redirect: 'error',
          signal: signal ? AbortSignal.any([signal, limit]) : limit,
        })
        answer = { status: response.status, text: await response.text() }
      } catch (error) {
        if (error instanceof MissingSecret) return { ok: false, kind: 'secret', text: error.message }
        if (limit.aborted) {
          const text = `no answer within ${(TIMEOUT_MS + patienceMs) / 1000} s`
          return { ok: false, kind: 'timeout', text }
        }
        return { ok: false, kind: 'network', text: connectionTrouble(error as Error) }
      }
      return judge(answer.status, answer.text)
    },
  }
}

function judge<T>(status: number, text: string): Answer<T> {
  const answer = parsed<T>(text)
  if (answer === null)
    return { ok: false, kind: 'server', text: `an answer that is no JSON, status ${status}` }
  if (answer.ok) return { ok: true, result: answer.result }
  const code = answer.error_code ?? status
  const said = String(answer.description ?? 'no reason given').slice(0, 200)
  if (code >= 500) return { ok: false, kind: 'server', text: `answer ${code}: ${said}` }
  return {
    ok: false,
    kind: 'api',
    code,
    text: `answer ${code}: ${said}`,
    retryAfterS: answer.parameters?.retry_after ?? null,
    movedTo: answer.parameters?.migrate_to_chat_id ?? null,
  }
}

function parsed<T>(text: string): ApiResponse<T> | null {
  try {
    const answer = JSON.parse(text) as ApiResponse<T> | null
    return answer !== null && typeof answer === 'object' && typeof answer.ok === 'boolean' ? answer : null
  } catch (error) {
    if (error instanceof SyntaxError) return null
    throw error
  }
}
