/** Telegram as a channel of the outbox: what each of its answers means, and what is done about it. */
import type { InlineKeyboardButton } from '@grammyjs/types'
import type { Notice } from '../core/alert.ts'
import type { Message } from './alert-tables.ts'
import type { Channel, ChannelTrial, Keep, Outcome } from './channel.ts'
import type { Answer, Telegram } from './telegram.ts'
import { keyboardOf } from './telegram-buttons.ts'
import { BUDGET, textOf } from './telegram-text.ts'

/** Telegram takes one message a second in a chat, and twenty a minute in a group. */
const CHAT_GAP_MS = 1_000
const GROUP_GAP_MS = 3_000
/** Where it names no time after too many requests. */
const PATIENCE_S = 5
/** What is left of a text that it finds too long. */
const SHORT_BUDGET = 1_500
const TRIAL = 'Self test of PAIOS: this message goes away by itself.'

export type TelegramChannelOptions = {
  readonly telegram: Telegram
  readonly chat: number
  readonly keep: Keep
  readonly outside: (text: string) => string
  /** The key of the buttons, null where nobody listens for presses. */
  readonly buttons: Buffer | null
}

/** Least time between two messages to a chat; groups have negative ids. */
export const telegramGapMs = (chat: number) => (chat < 0 ? GROUP_GAP_MS : CHAT_GAP_MS)

/** The chat as it is now: a group that became a supergroup has a new id. */
export function chatNow(keep: Keep, chat: number): number {
  const moved = keep.get(`telegram-chat-${chat}`)
  return typeof moved === 'number' ? moved : chat
}

type Form = {
  readonly isPlain: boolean
  readonly budget: number
  readonly isNew: boolean
  readonly bug: string | null
}
type Sent = Answer<{ message_id: number } | true>

/** How one message reaches one chat. */
export function telegramDelivery(
  options: TelegramChannelOptions,
): Pick<Channel, 'deliver' | 'check'> & { readonly trial: ChannelTrial } {
  const { telegram, keep } = options
  async function attempt(
    message: Message,
    first: string | null,
    signal: AbortSignal,
    form: Form,
  ): Promise<Outcome> {
    const isEdit = message.op === 'edit' && first !== null && !form.isNew
    const answer = await post(options, message, first, signal, form)
    if (answer.ok) {
      const remote = isEdit || answer.result === true ? first : String(answer.result.message_id)
      return { kind: 'sent', remote, bug: form.bug }
    }
    const again = (change: Partial<Form>) => attempt(message, first, signal, { ...form, ...change })
    if (answer.kind !== 'api') return outcomeOf(answer)
    const { code, text, movedTo } = answer
    if (code !== 400) return outcomeOf(answer)
    if (movedTo !== null && chatNow(keep, options.chat) !== movedTo) {
      keep.set({ key: `telegram-chat-${options.chat}`, value: movedTo })
      return again({})
    }
    if (/message is not modified/i.test(text)) return { kind: 'sent', remote: first, bug: form.bug }
    if (isEdit && /message to edit not found|message can't be edited|message_id_invalid/i.test(text))
      return again({ isNew: true })
    if (/can't parse entities/i.test(text) && !form.isPlain)
      return again({ isPlain: true, bug: `sent as plain text: ${text}` })
    if (/too long/i.test(text) && form.budget > SHORT_BUDGET)
      return again({ budget: SHORT_BUDGET, bug: `cut: ${text}` })
    return outcomeOf(answer)
  }
  return {
    deliver: (message, first, signal) =>
      attempt(message, first, signal, { isPlain: false, budget: BUDGET, isNew: false, bug: null }),
    async check(signal) {
      const me = await telegram.call('getMe', undefined, signal)
      if (!me.ok) return outcomeOf(me)
      const chat_id = chatNow(keep, options.chat)
      const typing = await telegram.call('sendChatAction', { chat_id, action: 'typing' }, signal)
      return typing.ok ? { kind: 'sent', remote: null, bug: null } : outcomeOf(typing)
    },
    trial: {
      async send(signal) {
        const params = { chat_id: chatNow(keep, options.chat), text: TRIAL, disable_notification: true }
        const answer = await telegram.call('sendMessage', params, signal)
        return answer.ok
          ? { kind: 'sent', remote: String(answer.result.message_id), bug: null }
          : outcomeOf(answer)
      },
      async retract(remote, signal) {
        const params = { chat_id: chatNow(keep, options.chat), message_id: Number(remote) }
        const answer = await telegram.call('deleteMessage', params, signal)
        const isOver = answer.ok || (answer.kind === 'api' && answer.code === 400)
        return isOver ? { kind: 'sent', remote: null, bug: null } : outcomeOf(answer)
      },
    },
  }
}

function post(
  { telegram, chat, keep, outside, buttons }: TelegramChannelOptions,
  message: Message,
  first: string | null,
  signal: AbortSignal,
  form: Form,
): Promise<Sent> {
  const notice = JSON.parse(message.body) as Notice
  const { html, plain } = textOf(notice, outside, form.budget)
  const keyboard: InlineKeyboardButton[][] =
    buttons === null ? [] : keyboardOf(notice.buttons, buttons, { id: message.id, key: message.key })
  const common = {
    chat_id: chatNow(keep, chat),
    text: form.isPlain ? plain : html,
    ...(form.isPlain ? {} : { parse_mode: 'HTML' as const }),
    link_preview_options: { is_disabled: true },
    reply_markup: { inline_keyboard: keyboard },
  }
  if (message.op === 'edit' && first !== null && !form.isNew)
    return telegram.call('editMessageText', { ...common, message_id: Number(first) }, signal)
  const isReply = message.op === 'reply' && first !== null
  const answers = { message_id: Number(first), allow_sending_without_reply: true }
  return telegram.call(
    'sendMessage',
    { ...common, disable_notification: !notice.sound, ...(isReply ? { reply_parameters: answers } : {}) },
    signal,
  )
}

/** What a refusal means for the outbox. */
export function outcomeOf(answer: Extract<Answer<unknown>, { ok: false }>): Outcome {
  switch (answer.kind) {
    case 'secret':
      return { kind: 'fault', reason: 'auth', text: answer.text }
    case 'network':
    case 'timeout':
    case 'server':
      return { kind: 'failed', reason: answer.kind, text: answer.text }
    case 'api': {
      const { code, text } = answer
      if (code === 429) return { kind: 'wait', ms: (answer.retryAfterS ?? PATIENCE_S) * 1_000 }
      if (code === 401 || code === 404)
        return { kind: 'fault', reason: 'auth', text: `${text} (the token is not valid: paios alerts setup)` }
      if (
        code === 403 ||
        /chat not found|peer_id_invalid|user is deactivated|group chat was upgraded/i.test(text)
      )
        return {
          kind: 'fault',
          reason: 'auth',
          text: `${text} (send /start to the bot, or paios alerts setup)`,
        }
      if (code === 400) return { kind: 'rejected', text }
      return { kind: 'failed', reason: 'server', text }
    }
  }
}
