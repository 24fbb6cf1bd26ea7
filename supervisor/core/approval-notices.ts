/**
 * Asking people for leave: one message with two buttons for each approval, in answer to the incident it belongs to.
 * While it waits it is reminded of; once it is decided, has expired or is not needed any more, the message says so and
 * has no buttons. Whatever of it has not left the machine by then is replaced by what came of it.
 */
import type { Notice } from './alert.ts'
import { type AlertScope, keyOf, put, recordPlain, stand, tell } from './alert-scope.ts'
import type { ApprovalStatus } from './approval.ts'
import type { Incident, Question } from './incident.ts'
import type { IncidentEvent } from './incident-event.ts'
import { spanText } from './local-time.ts'
import { countSound, hushOfQuestion, mayRemind } from './sound.ts'
import { isAcked, voiceOf } from './telling.ts'

/** It is reminded of so long after it was asked. */
const REMIND_MS = [5 * 60_000, 15 * 60_000]
/** A question of which nothing more was heard is forgotten. */
const FORGET_MS = 86_400_000

const keyOfQuestion = (id: number) => `approval-${id}`

/** Asks. It sounds by the importance of the service and by day, at most twelve times in an hour with the like. */
export function ask(
  scope: AlertScope,
  { id, service, title, lines, forMs }: Extract<IncidentEvent, { kind: 'approval-asked' }>,
): void {
  const { questions } = scope.state.standing
  if (questions.some((one) => one.id === id)) return
  const incident = incidentOf(scope, service)
  const sound = hushOfQuestion(scope, service) === null
  if (sound) countSound(scope, 'warning')
  const { at: askedAt, wall: askedWall } = scope
  const fresh: Question = {
    ...{ id, service, title, lines, forMs, askedAt, askedWall },
    ...{ thread: incident?.thread ?? null, reminders: 0, by: null, isBegun: false },
  }
  stand(scope, { questions: [...questions, fresh] })
  say(scope, fresh, {
    ...{ key: keyOfQuestion(id), op: fresh.thread === null ? 'send' : 'reply', severity: 'warning', sound },
    ...{ title: `${title} waits for your decision`, lines, buttons: ['approve', 'deny', 'runbook'] },
  })
  note(scope, service, `approval ${id} is asked for: ${title}`)
}

/** Once after five and once after fifteen minutes; with a sound where the incident is critical. */
export function remind(scope: AlertScope): void {
  const { questions } = scope.state.standing
  if (questions.length === 0) return
  const kept = questions.filter(({ askedAt }) => scope.at - askedAt < FORGET_MS)
  const next = kept.map((question) => reminded(scope, question))
  if (kept.length < questions.length || next.some((one, index) => one !== kept[index]))
    stand(scope, { questions: next })
}

function reminded(scope: AlertScope, question: Question): Question {
  const waitedMs = scope.at - question.askedAt
  const reminders = REMIND_MS.filter((ms) => ms <= waitedMs).length
  const { id, service, title, forMs } = question
  if (question.by !== null || reminders <= question.reminders || waitedMs >= forMs) return question
  const incident = incidentOf(scope, service)
  const sound =
    incident !== null &&
    voiceOf(incident) === 'critical' &&
    !isAcked(scope, incident) &&
    mayRemind(scope, incident)
  const waited = spanText(waitedMs)
  say(scope, question, {
    ...{ key: `${keyOfQuestion(id)}-reminder-${reminders}`, op: 'reply', sound, buttons: [] },
    ...{ severity: sound ? 'critical' : 'warning', title: `${title} has waited ${waited} for your decision` },
    lines: [`decide above, or: paios approve ${id}`, `it expires in ${spanText(forMs - waitedMs)}`],
  })
  note(scope, service, `approval ${id} has waited ${waited}`)
  return { ...question, reminders }
}

/** What came of it: the message that asked says so. Told twice, it changes nothing. */
export function settle(
  scope: AlertScope,
  { id, status, by }: Extract<IncidentEvent, { kind: 'approval-settled' }>,
): void {
  const { questions } = scope.state.standing
  const question = questions.find((one) => one.id === id)
  if (question === undefined || status === 'pending') return
  const isFinal = status !== 'approved' && status !== 'executing'
  const next: Question = { ...question, by: question.by ?? by, isBegun: status === 'executing' }
  const others = questions.filter((one) => one.id !== id)
  stand(scope, { questions: isFinal ? others : [...others, next] })
  if (!isFinal && question.by !== null) return
  const said = wordsOf({ ...question, by: next.by }, status)
  const lines = question.lines.filter((line) => !line.startsWith('paios approve '))
  say(scope, question, {
    ...{ key: `${keyOfQuestion(id)}-${status}`, op: 'edit', severity: 'info', sound: false, buttons: [] },
    ...{ title: `${question.title}: ${said}`, lines },
  })
  note(scope, question.service, `approval ${id}: ${said}`)
}

/** Who or what has decided, and what came of it. */
function wordsOf({ by, isBegun, forMs }: Question, status: ApprovalStatus): string {
  switch (status) {
    case 'denied':
      return `denied by ${by}`
    case 'expired':
      return `expired, nobody decided within ${spanText(forMs)}`
    case 'done':
      return `approved by ${by}, and done`
    case 'superseded':
      if (by === null) return 'withdrawn, it is not needed any more'
      return isBegun
        ? `approved by ${by}, and it did not help`
        : `approved by ${by}, but not done: what it was asked for has changed`
    default:
      return `approved by ${by}`
  }
}

type Saying = Pick<Notice, 'key' | 'op' | 'severity' | 'sound' | 'title' | 'lines' | 'buttons'>

/** Each question is a thread of its own, whose first message answers that of its incident. */
function say({ effects, wall }: AlertScope, { id, service, thread }: Question, saying: Saying): void {
  const answers = thread === null ? {} : { answers: thread }
  const about = { thread: keyOfQuestion(id), kind: 'approval', service, wall } as const
  effects.push({ kind: 'notice', notice: { ...about, ...answers, ...saying } })
}

/** A line in the story of the service's incident, or of alerting itself. */
function note(scope: AlertScope, service: string, text: string): void {
  const incident = incidentOf(scope, service)
  if (incident) put(scope, tell(scope, incident, 'approval', text))
  else recordPlain(scope, 'approval', text)
}

/** The open incident of a service of which a message was made, null if there is none. */
function incidentOf({ state }: AlertScope, name: string): Incident | null {
  const about = keyOf({ kind: 'service', name })
  const found = [...state.incidents.values()].find(
    (one) => keyOf(one.subject) === about && one.state !== 'resolved' && one.told !== null,
  )
  return found ?? null
}
