/**
 * What people do in the chat: presses of buttons below our messages, and commands. Only people of the allow list,
 * only in the one chat; a press counts only with the code of a message of ours that shows that button. What is
 * decided is committed with the mark that its update was handled, so that Telegram may offer it again.
 */
import type { CallbackQuery, Message as ChatMessage, Update } from '@grammyjs/types'
import { parseDurationMs } from '../../probes/units.ts'
import type { Notice, NoticeButton } from '../core/alert.ts'
import { PaiosError } from '../errors.ts'
import type { Message } from './alert-tables.ts'
import type { Outbox } from './outbox.ts'
import type { Telegram } from './telegram.ts'
import { isGenuine, readPress } from './telegram-buttons.ts'
import { BUDGET, cut, escapeHtml } from './telegram-text.ts'

const HOUR_MS = 3_600_000
/** Telegram shows no longer answer to a press. */
const ANSWER_MAX = 190
const EVENTS = 10
const EVENTS_MAX = 50
/** A stranger is told to the journal once in this time. */
const STRANGER_MS = HOUR_MS

/** A press below a message of ours. `by` says who pressed, for the journal. */
export type Press = {
  readonly thread: string
  /** The key of the notice that was pressed. */
  readonly key: string
  readonly service: string | null
  readonly by: string
}

/** What is said in return; a promise where it takes its time. A PaiosError is said in its own words. */
type Said = string | Promise<string>

/** Who decides: the chat only hands over. */
export type ChatPort = {
  acknowledge(press: Press): Said
  /** `name` as people type it or the service of the message; `thread` of the message, null for a command. */
  mute(asked: {
    readonly name: string | null
    readonly thread: string | null
    readonly forMs: number
    readonly because: string
    readonly by: string
  }): Said
  restart(press: Press): Said
  approve(press: Press): Said
  deny(press: Press): Said
  runbookText(press: Press): Said
  status(): readonly string[]
  events(count: number): readonly string[]
}

export type ChatOptions = {
  readonly telegram: Telegram
  /** The chat as it is now. */
  readonly chat: () => number
  /** Ids of the people who may decide. */
  readonly allow: readonly number[]
  readonly outbox: Pick<Outbox, 'handling' | 'message'>
  readonly buttons: Buffer
  readonly port: ChatPort
  readonly outside: (text: string) => string
  readonly note: (event: string, text: string) => void
}

/** What is sent back: an answer to a press, a message, or both. */
type Reply =
  | { readonly kind: 'answer'; readonly query: string; readonly said: Said }
  | { readonly kind: 'message'; readonly query: string | null; readonly to: number; readonly said: Said }
  | null

const HELP = [
  '/status: what runs and what does not',
  '/events 20: what happened last',
  '/mute NAME 2h REASON: hold the messages of a service',
  '/help: this text',
]

/** Takes one update to its end; never throws for what people or Telegram do. */
export function openChat(options: ChatOptions): { handle(update: Update): Promise<void> } {
  const { outbox, telegram, outside } = options
  let strangerAt = Number.NEGATIVE_INFINITY
  function stranger(id: number, what: string): void {
    if (performance.now() - strangerAt < STRANGER_MS) return
    strangerAt = performance.now()
    options.note('telegram-stranger', `somebody who is not on the list (Telegram id ${id}) ${what}: refused`)
  }
  const isAllowed = (from: number, chat: number | undefined) =>
    options.allow.includes(from) && chat === options.chat()

  function decide(update: Update): Reply {
    const { callback_query: query, message } = update
    if (query) {
      if (isAllowed(query.from.id, query.message?.chat.id)) return pressed(query)
      stranger(query.from.id, 'pressed a button')
      return { kind: 'answer', query: query.id, said: 'You may not decide this.' }
    }
    if (!message?.text || !message.from) return null
    if (isAllowed(message.from.id, message.chat.id)) return command(message, message.text)
    stranger(message.from.id, 'wrote to the bot')
    return null
  }
  function pressed(query: CallbackQuery): Reply {
    const no = (said: string): Reply => ({ kind: 'answer', query: query.id, said })
    const press = readPress(query.data ?? '')
    const sent = press && outbox.message(press.message)
    if (!press || sent?.channel !== 'telegram' || !isGenuine(press, options.buttons, sent.key))
      return no('This button is not one of this supervisor.')
    const notice = JSON.parse(sent.body) as Notice
    if (!notice.buttons.includes(press.button)) return no('This message has no such button.')
    const said = saying(() => act(options.port, press.button, pressOf(sent, notice, query)))
    const isLong = press.button === 'runbook' || typeof said !== 'string'
    return isLong
      ? { kind: 'message', query: query.id, to: query.message!.message_id, said }
      : { kind: 'answer', query: query.id, said }
  }
  function command(message: ChatMessage, text: string): Reply {
    const [word = '', ...rest] = text.trim().split(/\s+/)
    const name = /^\/([a-z]+)(@\w+)?$/i.exec(word)?.[1]?.toLowerCase()
    const said = saying(() => {
      switch (name) {
        case 'status':
          return options.port.status().join('\n')
        case 'events':
          return options.port
            .events(Math.min(Number.parseInt(rest[0] ?? '', 10) || EVENTS, EVENTS_MAX))
            .join('\n')
        case 'mute':
          return mute(rest, byOf(message.from!))
        default:
          return HELP.join('\n')
      }
    })
    return { kind: 'message', query: null, to: message.message_id, said }
  }
  function mute([name, length, ...reason]: readonly string[], by: string): Said {
    const forMs = parseDurationMs(length ?? '')
    if (!name || forMs === null) return 'Say what and how long: /mute NAME 2h REASON'
    return options.port.mute({
      name,
      thread: null,
      forMs,
      because: reason.join(' ') || 'asked in the chat',
      by,
    })
  }

  async function answer(query: string, text: string): Promise<void> {
    // One that was pressed long ago cannot be answered any more; what it asked for is done all the same.
    await telegram.call('answerCallbackQuery', {
      callback_query_id: query,
      text: cut(outside(text), ANSWER_MAX),
    })
  }
  async function send(to: number, text: string): Promise<void> {
    const html = escapeHtml(cut(outside(text), BUDGET))
    const reply_parameters = { message_id: to, allow_sending_without_reply: true }
    const params = {
      chat_id: options.chat(),
      text: html || 'nothing',
      parse_mode: 'HTML' as const,
      reply_parameters,
    }
    const sent = await telegram.call('sendMessage', {
      ...params,
      link_preview_options: { is_disabled: true },
    })
    if (!sent.ok)
      options.note('telegram-reply-lost', `an answer in the chat was not sent: ${outside(sent.text)}`)
  }
  return {
    async handle(update) {
      const reply = outbox.handling(update.update_id, () => decide(update))
      if (reply === null) return
      // Taken at once: a refusal that nobody waits for yet would end the supervisor.
      const said = settled(reply.said)
      if (reply.kind === 'answer') return answer(reply.query, await said)
      if (reply.query !== null) await answer(reply.query, 'Taken on.')
      const sent = said.then((text) => send(reply.to, text))
      // What takes minutes keeps the next press waiting no longer than this one.
      if (typeof reply.said === 'string') await sent
    },
  }
}

function act(port: ChatPort, button: NoticeButton, press: Press): Said {
  switch (button) {
    case 'acknowledge':
      return port.acknowledge(press)
    case 'silence': {
      const { thread, service: name, by } = press
      return port.mute({ name, thread, forMs: HOUR_MS, because: 'silenced in the chat', by })
    }
    case 'restart':
      return port.restart(press)
    case 'approve':
      return port.approve(press)
    case 'deny':
      return port.deny(press)
    case 'runbook':
      return port.runbookText(press)
  }
}

const pressOf = ({ thread, key }: Message, { service }: Notice, { from }: CallbackQuery): Press => ({
  ...{ thread, key, service },
  by: byOf(from),
})

const byOf = ({ id, username }: { id: number; username?: string }) =>
  username === undefined ? `telegram ${id}` : `telegram ${username}`

/** What a decision says, also where it is refused. */
function saying(work: () => Said): Said {
  try {
    return work()
  } catch (error) {
    return refusal(error)
  }
}

const settled = async (said: Said): Promise<string> => {
  try {
    return await said
  } catch (error) {
    return refusal(error)
  }
}

function refusal(error: unknown): string {
  if (error instanceof PaiosError) return error.message
  throw error
}
