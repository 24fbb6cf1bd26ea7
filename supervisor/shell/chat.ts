/** Listening to the Telegram chat of the document in force; its code is loaded with the first chat. */

import { apiOf, outsideOf, type TelegramWanted } from './channels.ts'
import type { Outbox } from './outbox.ts'
import type { Secrets } from './secrets.ts'
import { buttonKey } from './telegram-buttons.ts'
import { chatNow } from './telegram-channel.ts'
import type { ChatPort } from './telegram-chat.ts'
import type { Poll } from './telegram-poll.ts'

export type ListeningOptions = {
  readonly outbox: Outbox
  readonly secrets: Secrets
  readonly buttonKeyPath: string
  readonly wall: () => number
  /** What stands in the way of presses and commands; null once nothing does. */
  readonly trouble: (text: string | null) => void
  readonly note: (event: string, text: string) => void
  readonly pace?: number
}

export type Listening = {
  /** The chat of the document, null for none. */
  apply(wanted: TelegramWanted | null): void
  /** Who decides; nothing is asked of Telegram before. */
  connect(port: ChatPort): void
  /** Unix milliseconds at which Telegram last answered, or listening began; null where nobody listens. */
  lastSuccess(): number | null
  flush(): void
  close(): void
}

/** Listens to nothing yet. */
export function openListening(options: ListeningOptions): Listening {
  let wanted: TelegramWanted | null = null
  let port: ChatPort | null = null
  let poll: Poll | null = null
  let round = 0

  function restart(): void {
    poll?.close()
    poll = null
    round++
    if (wanted?.commands && port) void listen(wanted, port, round)
  }
  async function listen(to: TelegramWanted, decides: ChatPort, own: number): Promise<void> {
    const [{ openChat }, { openPoll }, { openTelegram }] = await Promise.all([
      import('./telegram-chat.ts'),
      import('./telegram-poll.ts'),
      import('./telegram.ts'),
    ])
    if (own !== round) return
    const { outbox, secrets } = options
    const telegram = openTelegram({ api: apiOf(to), token: () => secrets.resolve(to.token) })
    const chat = openChat({
      ...{ telegram, outbox, port: decides, note: options.note },
      chat: () => chatNow(outbox.keep, to.chat),
      allow: to.allow ?? [to.chat],
      buttons: buttonKey(options.buttonKeyPath),
      outside: outsideOf(secrets),
    })
    poll = openPoll({ ...options, telegram, handle: chat.handle, random: Math.random })
  }
  return {
    apply(fresh) {
      wanted = fresh
      restart()
    },
    connect(decides) {
      port = decides
      restart()
    },
    lastSuccess: () => poll?.lastSuccess() ?? null,
    flush: () => poll?.flush(),
    close() {
      round++
      poll?.close()
      poll = null
    },
  }
}
