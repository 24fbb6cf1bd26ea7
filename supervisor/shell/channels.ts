/**
 * The channels of a document. Their code is loaded with their first use, so that a mesh pays only for those that it
 * has; what they are called is known at once, since nothing may be enqueued before that.
 */
import { homedir } from 'node:os'
import type { MeshDocument } from '../../schemas/mesh.ts'
import type { Channel, Keep } from './channel.ts'
import { commandChannel } from './command-channel.ts'
import { desktopChannel } from './desktop.ts'
import type { ProbePrograms } from './probe-programs.ts'
import type { Secrets } from './secrets.ts'
import { buttonKey } from './telegram-buttons.ts'
import { telegramGapMs } from './telegram-channel.ts'
import { outsideText } from './telegram-text.ts'

export type TelegramWanted = NonNullable<NonNullable<MeshDocument['alerts']>['telegram']>

export type ChannelsOptions = {
  readonly programs: ProbePrograms
  readonly secrets: Secrets
  readonly keep: Keep
  /** Where the key of the buttons is kept. */
  readonly buttonKeyPath: string
  readonly retryMs?: number
}

/** What goes outside has no secrets, and no path of the user's home. */
export const outsideOf = (secrets: Secrets) => outsideText(secrets.redact, homedir())

/** The channels that a document has, in the order in which they are shown. */
export function channelsOf(wanted: MeshDocument['alerts'], options: ChannelsOptions): Channel[] {
  const { telegram, ntfy, command, desktop } = wanted ?? {}
  const screen = (telegram ?? ntfy) && desktop !== false ? desktopChannel(options.programs) : null
  return [
    ...(telegram ? [telegramChannel(telegram, options)] : []),
    ...(ntfy ? [ntfyChannel(ntfy, options, telegram !== undefined)] : []),
    ...(command ? [commandChannel(command, options)] : []),
    ...(screen ? [screen] : []),
  ]
}

function telegramChannel(wanted: TelegramWanted, { secrets, keep, buttonKeyPath }: ChannelsOptions): Channel {
  const load = once(async () => {
    const [{ telegramDelivery }, { openTelegram }] = await Promise.all([
      import('./telegram-channel.ts'),
      import('./telegram.ts'),
    ])
    return telegramDelivery({
      telegram: openTelegram({ api: apiOf(wanted), token: () => secrets.resolve(wanted.token) }),
      chat: wanted.chat,
      keep,
      outside: outsideOf(secrets),
      buttons: wanted.commands ? buttonKey(buttonKeyPath) : null,
    })
  })
  return {
    ...{ name: 'telegram', isStandby: false, trouble: 'Telegram does not take messages' },
    gapMs: telegramGapMs(wanted.chat),
    deliver: async (...message) => (await load()).deliver(...message),
    check: async (signal) => (await load()).check(signal),
    trial: {
      send: async (signal) => (await load()).trial.send(signal),
      retract: async (...message) => (await load()).trial.retract(...message),
    },
  }
}

function ntfyChannel(
  { url, token }: { readonly url: string; readonly token?: string | undefined },
  { secrets }: ChannelsOptions,
  isStandby: boolean,
): Channel {
  const load = once(async () => {
    const { ntfyDelivery } = await import('./ntfy-channel.ts')
    return ntfyDelivery({ url, token: token ?? null, secrets, outside: outsideOf(secrets) })
  })
  return {
    ...{ name: 'ntfy', gapMs: 1_000, isStandby, trouble: 'ntfy does not take messages' },
    deliver: async (...message) => (await load()).deliver(...message),
    check: async (signal) => (await load()).check(signal),
  }
}

/** The address of the Bot API server without a slash at its end. */
export const apiOf = ({ api }: Pick<TelegramWanted, 'api'>) => api.replace(/\/+$/, '')

function once<T>(work: () => Promise<T>): () => Promise<T> {
  let done: Promise<T> | null = null
  return () => {
    done ??= work()
    return done
  }
}
