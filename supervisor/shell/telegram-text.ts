/**
 * A notice as Telegram's HTML, or as plain text. It is built from parts that are cut and escaped before tags are
 * added, so that no cut can go through a tag, and kept well below Telegram's limit of 4,096 characters.
 */
import type { Notice, Severity } from '../core/alert.ts'

/** Most characters of a message, before escaping. */
export const BUDGET = 3_500
const TITLE_MAX = 200
const LINE_MAX = 600
const MARK: Readonly<Record<Severity, string>> = { critical: '🔴', warning: '🟡', info: '⚪' }

/** Takes out what must not leave the machine: values of secrets, and the path of the user's home. */
export function outsideText(redact: (text: string) => string, userHome: string): (text: string) => string {
  const escaped = userHome.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')
  const home = userHome.length > 1 ? new RegExp(`${escaped}(?![\\w.-])`, 'g') : null
  return (text) => {
    const clean = redact(text)
    return home === null ? clean : clean.replaceAll(home, '~')
  }
}

/** `html` for `parse_mode: HTML`, `plain` for a message without markup. */
export function textOf(
  notice: Notice,
  outside: (text: string) => string,
  budget = BUDGET,
): { readonly html: string; readonly plain: string } {
  const mark = notice.kind === 'closed' ? '✅' : MARK[notice.severity]
  const title = cut(outside(notice.title), TITLE_MAX)
  const lines: string[] = []
  let left = budget - title.length - 8
  const all = notice.lines.map((line) => cut(outside(line), LINE_MAX))
  for (const [index, line] of all.entries()) {
    const more = `… ${all.length - index} more lines`
    if (line.length + 1 > left - (index < all.length - 1 ? more.length + 1 : 0)) {
      lines.push(more)
      break
    }
    left -= line.length + 1
    lines.push(line)
  }
  const head = notice.kind === 'closed' ? `<s>${escapeHtml(title)}</s>` : `<b>${escapeHtml(title)}</b>`
  return {
    html: [`${mark} ${head}`, ...lines.map(escapeHtml)].join('\n'),
    plain: [`${mark} ${title}`, ...lines].join('\n'),
  }
}

/** Text for the body of an element: nothing else has a meaning in Telegram's HTML. */
export function escapeHtml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}

/** At most so many characters, never half of one. */
export function cut(text: string, most: number): string {
  if (text.length <= most) return text
  const end = /[\uD800-\uDBFF]/.test(text[most - 2] ?? '') ? most - 2 : most - 1
  return `${text.slice(0, end)}…`
}
