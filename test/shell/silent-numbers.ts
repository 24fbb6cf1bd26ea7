import type { OutboxNumbers } from '../../supervisor/shell/channel.ts'

/** Counts nothing. */
export const SILENT_NUMBERS: OutboxNumbers = {
  enqueued: () => undefined,
  sent: () => undefined,
  failed: () => undefined,
  channelUp: () => undefined,
}
