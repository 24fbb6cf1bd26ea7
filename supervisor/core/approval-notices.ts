/** Asking people for leave: a message with two buttons for each approval, edited once it is decided. */
import type { Notice } from './alert.ts'
import { type AlertScope, put, tell } from './alert-scope.ts'
import type { IncidentEvent } from './incident-event.ts'
import { countSound, hushOfQuestion } from './sound.ts'

/** `approval-12`: the thread of an approval's message. */
export const approvalThread = (id: number): string => `approval-${id}`

/** The approval that a thread asks for, null if it is another thread. */
export function approvalOf(thread: string): number | null {
  const number = /^approval-(\d+)$/.exec(thread)?.[1]
  return number === undefined ? null : Number(number)
}

type Asked = Extract<IncidentEvent, { kind: 'approval-asked' }>
type Settled = Extract<IncidentEvent, { kind: 'approval-settled' }>

/** Asks. It sounds like what concerns the service, but for what waits there is a bound in each hour. */
export function ask(scope: AlertScope, { id, service, title, lines }: Asked): void {
  const sound = hushOfQuestion(scope, service) === null
  if (sound) countSound(scope, 'warning')
  notify(scope, id, service, {
    title,
    lines,
    op: 'send',
    kind: 'approval',
    sound,
    buttons: ['approve', 'deny'],
  })
  noteIn(scope, service, `approval ${id} is asked for: ${title}`)
}

/** Says how it was decided. */
export function settle(scope: AlertScope, { id, service, title, text }: Settled): void {
  const saying = { title: `${title}: ${text}`, lines: [], op: 'edit', kind: 'updated' } as const
  notify(scope, id, service, { ...saying, sound: false, buttons: [] })
  noteIn(scope, service, `approval ${id}: ${text}`)
}

type Saying = Pick<Notice, 'title' | 'lines' | 'op' | 'kind' | 'sound' | 'buttons'>

function notify({ effects, wall }: AlertScope, id: number, service: string, saying: Saying): void {
  const thread = approvalThread(id)
  const key = `${thread}-${saying.op === 'send' ? 'asked' : 'settled'}`
  effects.push({ kind: 'notice', notice: { ...saying, key, thread, severity: 'warning', service, wall } })
}

/** The story of the service's open incident has it, too. */
function noteIn(scope: AlertScope, service: string, text: string): void {
  for (const incident of [...scope.state.incidents.values()]) {
    const { subject, state } = incident
    if (subject.kind !== 'service' || subject.name !== service || state === 'resolved') continue
    put(scope, tell(scope, incident, 'approval', text))
  }
}
