/**
 * The phone of a mesh of the fault matrix: a Telegram of its own, and what came to it. It is noon wherever the mesh is,
 * so that what sounds by day sounds at any hour of the run.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { RULES } from '../../supervisor/core/alert-rules.ts'
import { placeholders } from '../../supervisor/core/summary.ts'
import type { TestMesh } from '../e2e/mesh.ts'
import { type FakeTelegram, OWNER, startTelegram, TOKEN } from '../telegram-server.ts'

/** One message or edit as it arrived; `at` in milliseconds of `now()`. */
export type Came = { readonly at: number; readonly text: string; readonly how: 'sound' | 'silent' | 'edit' }

/** What a mesh tells, and how it learns where. */
export type Phone = {
  /** Fields of a document that tells this phone. */
  readonly fields: Readonly<Record<string, unknown>>
  /** Adds them to paios.yaml as it is. */
  declare(mesh: TestMesh): void
  /** What arrived after an instant, oldest first. */
  since(at: number): readonly Came[]
  end(): Promise<void>
}

/** Unix milliseconds that never go back. */
export const now = (): number => performance.timeOrigin + performance.now()

/** Starts a Telegram for the mesh of a home, and keeps its token there. */
export async function openPhone({ home }: Pick<TestMesh, 'home'>): Promise<Phone> {
  const telegram: FakeTelegram = await startTelegram()
  const token = join(home, 'secrets', 'telegram')
  mkdirSync(join(home, 'secrets'), { recursive: true, mode: 0o700 })
  writeFileSync(token, TOKEN, { mode: 0o600 })
  const fields = {
    defaults: { timezone: whereItIsNoon() },
    alerts: { telegram: { token: `\${file:${token}}`, chat: OWNER, api: telegram.url } },
  }
  return {
    fields,
    declare(mesh) {
      const path = join(mesh.home, 'paios.yaml')
      const { alerts, defaults, ...rest } = JSON.parse(readFileSync(path, 'utf8')) as {
        alerts?: object
        defaults?: object
      }
      const document = {
        ...rest,
        defaults: { ...defaults, ...fields.defaults },
        alerts: { ...alerts, ...fields.alerts },
      }
      writeFileSync(path, JSON.stringify(document, null, 2), { mode: 0o600 })
    },
    since: (at) =>
      telegram.calls().flatMap((call): Came[] => {
        if (call.at < at) return []
        const text = String(call.params['text'])
        if (call.method === 'editMessageText') return [{ at: call.at, text, how: 'edit' }]
        if (call.method !== 'sendMessage') return []
        return [{ at: call.at, text, how: call.params['disable_notification'] === true ? 'silent' : 'sound' }]
      }),
    end: () => telegram.close(),
  }
}

/** A fixed zone in which it is between 12:00 and 13:00 now; the signs of these names are turned around. */
function whereItIsNoon(): string {
  const ahead = 12 - new Date().getUTCHours()
  return ahead === 0 ? 'Etc/GMT' : `Etc/GMT${ahead > 0 ? '-' : '+'}${Math.abs(ahead)}`
}

/** Name of an alert rule. */
export type RuleName = keyof typeof RULES

/** Whether a text tells of a rule about somebody as what is so now: not as recovering, nor as over. */
export function tells(rule: RuleName, about: string): (text: string) => boolean {
  const { summary } = RULES[rule]!
  const known = new Set(placeholders(summary))
  let pattern = summary.replaceAll(/[.*+?^$()|[\]\\]/g, '\\$&')
  for (const name of known) {
    const isSubject = ['service', 'mountpoint', 'channel', 'target', 'runbook'].includes(name)
    pattern = pattern.replaceAll(`{${name}}`, isSubject ? about.replaceAll('.', '\\.') : '.+')
  }
  // A line of its own; at the top after a mark, in the message of the hour after a time.
  const line = new RegExp(`^(?:\\S+ (?:<b>)?)?${pattern}`, 'm')
  return (text) => !text.startsWith('✅') && line.test(text)
}
