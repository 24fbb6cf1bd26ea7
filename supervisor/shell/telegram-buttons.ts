/**
 * What the buttons below a message carry: `v1.<op>.<message>.<mac>`, at most 64 bytes. Whoever can write to the bot
 * can send any text as if it were a press, so the code ties it to a message that this home has sent.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import type { InlineKeyboardButton } from '@grammyjs/types'
import type { NoticeButton } from '../core/alert.ts'
import { errnoOf } from '../errors.ts'

const KEY_BYTES = 32
const MAC_LENGTH = 10
const PER_ROW = 2

const BUTTONS: Readonly<Record<NoticeButton, { readonly op: string; readonly label: string }>> = {
  acknowledge: { op: 'a', label: 'Acknowledge' },
  silence: { op: 's', label: 'Silence 1 h' },
  restart: { op: 'r', label: 'Restart' },
  approve: { op: 'y', label: 'Approve' },
  deny: { op: 'n', label: 'Deny' },
  runbook: { op: 'b', label: 'Runbook' },
}

/** The key of one home, made with the first use; one that cannot be kept holds for this supervisor's life. */
export function buttonKey(path: string): Buffer {
  try {
    const key = readFileSync(path)
    if (key.length === KEY_BYTES) return key
  } catch (error) {
    if (errnoOf(error) === null) throw error
  }
  const key = randomBytes(KEY_BYTES)
  try {
    writeFileSync(path, key, { mode: 0o600 })
  } catch (error) {
    if (errnoOf(error) === null) throw error
  }
  return key
}

/** What a press names. `message` is the outbox's number of the message. */
export type Pressed = { readonly button: NoticeButton; readonly message: number; readonly mac: string }

function macOf(key: Buffer, op: string, message: number, noticeKey: string): string {
  return createHmac('sha256', key)
    .update(`${op}.${message}.${noticeKey}`)
    .digest('base64url')
    .slice(0, MAC_LENGTH)
}

/** The keyboard of a message, two buttons a row. */
export function keyboardOf(
  buttons: readonly NoticeButton[],
  key: Buffer,
  about: { readonly id: number; readonly key: string },
): InlineKeyboardButton[][] {
  const all = buttons.map((button) => {
    const { op, label } = BUTTONS[button]
    const data = `v1.${op}.${about.id.toString(36)}.${macOf(key, op, about.id, about.key)}`
    return { text: label, callback_data: data }
  })
  return Array.from({ length: Math.ceil(all.length / PER_ROW) }, (_, row) =>
    all.slice(row * PER_ROW, (row + 1) * PER_ROW),
  )
}

/** What a press says, null if it is none of ours by its form. */
export function readPress(data: string): Pressed | null {
  const match = /^v1\.([a-z])\.([0-9a-z]{1,12})\.([\w-]{10})$/.exec(data)
  const found = Object.entries(BUTTONS).find(([, { op }]) => op === match?.[1])
  if (!match || !found) return null
  return { button: found[0] as NoticeButton, message: Number.parseInt(match[2]!, 36), mac: match[3]! }
}

/** True if the press belongs to this message. */
export function isGenuine({ button, message, mac }: Pressed, key: Buffer, noticeKey: string): boolean {
  const expected = macOf(key, BUTTONS[button].op, message, noticeKey)
  return timingSafeEqual(Buffer.from(expected), Buffer.from(mac))
}
