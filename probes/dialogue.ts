/** Questions and answers with a program that a probe has started, one JSON text per line. */
import { excerpt, lastLine } from './excerpt.ts'
import { isObject, type Members } from './json.ts'
import type { Conversation } from './probe.ts'

/** Why a program did not answer as it should, in words for the operator. */
export class DialogueFault extends Error {}

/** A message of the program. */
export type Message = Readonly<Members>

/** How a protocol numbers its questions and tells answers; the program's other messages give null. */
export type Protocol = {
  readonly question: (id: string, method: string, params: object) => object
  readonly answer: (message: Message) => { readonly id: string; readonly value: Answer } | null
}
/** What was answered: a result, or an error's text. */
export type Answer = { readonly result: unknown } | { readonly error: string }

/** A dialogue over one conversation. */
export type Dialogue = {
  /**
   * The result of one question. Throws DialogueFault if the program ends, says an error or is cut by the signal.
   */
  ask(method: string, params?: object): Promise<unknown>
  /** A message that has no answer. */
  tell(message: object): void
  /** Messages that nobody asked for, oldest first. */
  readonly heard: readonly Message[]
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')

/** JSON-RPC 2.0, or with `jsonrpc` left out as Codex's app-server has it. */
export function jsonRpc(head: object): Protocol {
  return {
    question: (id, method, params) => ({ ...head, id: Number(id), method, params }),
    answer(message) {
      if (message['id'] === undefined || message['method'] !== undefined) return null
      const { id, error, result } = message
      const value = isObject(error) ? { error: textOf(error['message']) } : { result }
      return { id: String(id), value }
    },
  }
}

/** The control requests of Claude Code's streamed sessions. */
export const controlRequests: Protocol = {
  question: (id, subtype, params) => ({
    type: 'control_request',
    request_id: id,
    request: { subtype, ...params },
  }),
  answer(message) {
    const { type, response } = message
    if (type !== 'control_response' || !isObject(response)) return null
    const id = textOf(response['request_id'])
    const isError = response['subtype'] === 'error'
    return { id, value: isError ? { error: textOf(response['error']) } : { result: response['response'] } }
  },
}

function parsed(line: string): Message | null {
  try {
    const message: unknown = JSON.parse(line)
    return isObject(message) ? message : null
  } catch {
    // Programs print other things as well; only what is a message can be an answer.
    return null
  }
}

/** Opens a dialogue. `explain` turns what the program wrote to stderr into one line, its last one unless told. */
export function openDialogue(
  conversation: Conversation,
  protocol: Protocol,
  signal: AbortSignal,
  explain: (stderr: string) => string = lastLine,
): Dialogue {
  const waiting = new Map<string, PromiseWithResolvers<unknown> & { readonly method: string }>()
  const heard: Message[] = []
  let count = 0
  let over: ((method: string) => DialogueFault) | null = null
  const end = (why: (method: string) => DialogueFault) => {
    over ??= why
    for (const { method, reject } of waiting.values()) reject(over(method))
    waiting.clear()
  }
  conversation.onLine((line) => {
    const message = parsed(line)
    if (message === null) return
    const answer = protocol.answer(message)
    if (answer === null) return void heard.push(message)
    const asked = waiting.get(answer.id)
    waiting.delete(answer.id)
    if (asked === undefined) return
    if ('result' in answer.value) asked.resolve(answer.value.result)
    else asked.reject(new DialogueFault(`${asked.method}: ${excerpt(answer.value.error) || 'an error'}`))
  })
  const timeOut = (method: string) => new DialogueFault(`${method}: no answer in time`)
  if (signal.aborted) end(timeOut)
  signal.addEventListener('abort', () => end(timeOut), { once: true })
  void conversation.ended.then(({ code, signal: name }) => {
    const said = explain(conversation.stderr())
    const how = code === null ? `was ended by ${name}` : `exited with code ${code}`
    end((method) => new DialogueFault(`${how} before it answered ${method}${said === '' ? '' : `: ${said}`}`))
  })
  return {
    heard,
    tell: (message) => conversation.write(JSON.stringify(message)),
    ask(method, params = {}) {
      if (over !== null) return Promise.reject(over(method))
      const id = String(++count)
      const asked = { ...Promise.withResolvers<unknown>(), method }
      waiting.set(id, asked)
      conversation.write(JSON.stringify(protocol.question(id, method, params)))
      return asked.promise
    },
  }
}
