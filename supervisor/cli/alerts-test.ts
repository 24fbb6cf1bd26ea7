/** `paios alerts test`: a real message through each channel, and what came back. */
import type { Tested } from '../shell/outbox.ts'
import { call } from './client.ts'
import type { Invocation } from './command.ts'
import { paint, plain } from './render.ts'

/** Exits 1 if a channel did not take it, or if there is none. */
export async function testChannels(invocation: Invocation): Promise<number> {
  const { home, json, out, err } = invocation
  const { channels } = await call<{ channels: Tested[] }>(home, 'POST', '/alerts/test', {})
  if (json) out(`${JSON.stringify({ channels })}\n`)
  else for (const tested of channels) out(lineOf(tested, invocation))
  if (channels.length === 0) err('paios: the document has no alerts: paios alerts setup\n')
  return channels.length > 0 && channels.every(({ isSent }) => isSent) ? 0 : 1
}

function lineOf({ channel, isSent, text, ms }: Tested, layout: Invocation): string {
  const result = isSent ? paint('sent  ', 'green', layout) : paint('failed', 'red', layout)
  return (
    `${result} ${(ms / 1000).toFixed(1).padStart(5)} s  ${channel.padEnd(8)}  ${plain(text)}`.trimEnd() + '\n'
  )
}
