/** Whether a person hears of a row as the table of alert rules says: waits for the message, and objects to others. */
import type { AlertsStatus } from '../../schemas/incidents.ts'
import { call } from '../../supervisor/cli/client.ts'
import { RULES } from '../../supervisor/core/alert-rules.ts'
import type { Fault, Heard, Stage, Told } from './fault.ts'
import { type Came, tells } from './phone.ts'

type Row = Pick<Fault<Stage>, 'heard' | 'sign' | 'touches'>

/** More messages in a minute would be a storm, which is one message; a bad day makes one fault, not thirty. */
const PACE = 6
const MINUTE_MS = 60_000

/** The rule that must tell at once or after its time; null where nobody is told, or only in the message of the hour. */
export function ruleOf(heard: Heard): { readonly name: string; readonly isCritical: boolean } | null {
  if ('nobody' in heard) return null
  const { severity } = RULES[heard.rule]!
  return severity === 'info' ? null : { name: heard.rule, isCritical: severity === 'critical' }
}

const alertsOf = ({ mesh }: Stage) => call<AlertsStatus>(mesh.home, 'GET', '/alerts')

/** True once nothing of earlier rows is still to be told, and nothing holds the messages of this one. */
export async function isReady({ mesh, phone }: Stage, { heard }: Row, now: number): Promise<boolean> {
  const { alerts } = await mesh.status()
  if (alerts.includes('waiting')) return false
  const rule = ruleOf(heard)
  if (rule === null) return true
  const { held } = await call<AlertsStatus>(mesh.home, 'GET', '/alerts')
  if (RULES[rule.name]!.heldBy.some((reason) => held.includes(reason))) return false
  return phone.since(now - MINUTE_MS).filter(({ how }) => how !== 'edit').length < PACE
}

/** True if the subject of the row has an open incident that was told: what is new is an edit of its message then. */
export async function hasStanding(stage: Stage, { heard }: Row): Promise<boolean> {
  if ('nobody' in heard) return false
  const { incidents } = await alertsOf(stage)
  return incidents.some(
    ({ subject, state, told }) => subject.name === heard.about && state !== 'resolved' && told !== null,
  )
}

/** True if the alert of the row fires already. */
export async function isFiring(stage: Stage, { heard }: Row): Promise<boolean> {
  if ('nobody' in heard) return false
  const { incidents } = await alertsOf(stage)
  return incidents.some(
    ({ subject, alerts }) =>
      subject.name === heard.about && alerts.some(({ rule, ended }) => rule === heard.rule && ended === null),
  )
}

/** The first message or edit that tells of a row made at `from`, null if none came yet. */
export function arrivalOf({ phone }: Stage, { heard }: Row, from: number): (Came & Told) | null {
  if ('nobody' in heard) return null
  const isIt = tells(heard.rule, heard.about)
  const found = phone.since(from).find(({ text }) => isIt(text))
  return found ? { ...found, ms: found.at - from } : null
}

/** What is wrong with how a row was told, null if nothing. */
export function objection(
  stage: Stage,
  row: Row,
  { from, told, isStanding }: { from: number; told: (Came & Told) | null; isStanding: boolean },
): string | null {
  const rule = ruleOf(row.heard)
  if (rule === null) {
    const loud = stage.phone.since(from).find((one) => one.how === 'sound' && concerns(row, one.text))
    return loud ? `it made a sound: ${loud.text}` : null
  }
  if (told === null) return `nobody was told by ${rule.name}`
  const isUnrepaired = told.text.includes('not repaired by the runbook')
  if (!rule.isCritical)
    return told.how === 'sound' && !isUnrepaired ? `a warning made a sound: ${told.text}` : null
  // A message is silent while an automatic repair has its first chance, and what is open already is edited.
  const mayBeSilent = isStanding || told.text.includes('it is being repaired')
  return told.how === 'sound' || mayBeSilent ? null : `${rule.name} made no sound: ${told.text}`
}

/** True if a text names a service that the row is about; of a row about none, any text is about it. */
function concerns({ sign, touches }: Row, text: string): boolean {
  const own = 'service' in sign ? [sign.service] : 'subject' in sign ? [sign.subject] : []
  const names = [...touches, ...own].filter((name) => name !== 'paios')
  return names.length === 0 || names.some((name) => new RegExp(`\\b${name}\\b`).test(text))
}
