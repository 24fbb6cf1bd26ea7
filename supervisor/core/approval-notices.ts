/** Asking people for leave: a message with two buttons for each approval, in answer to the incident it belongs to. */
import { type AlertScope, keyOf, put, tell } from './alert-scope.ts'
import type { IncidentEvent } from './incident-event.ts'
import { countSound, hushOfQuestion } from './sound.ts'

/** Asks. It sounds by the importance of the service and by day, at most twelve times in an hour with the like. */
export function ask(
  scope: AlertScope,
  { id, service, title, lines }: Extract<IncidentEvent, { kind: 'approval-asked' }>,
): void {
  const about = keyOf({ kind: 'service', name: service })
  const incident = [...scope.state.incidents.values()].find(
    ({ subject, state, told }) => keyOf(subject) === about && state !== 'resolved' && told !== null,
  )
  const sound = hushOfQuestion(scope, service) === null
  if (sound) countSound(scope, 'warning')
  const key = `approval-${id}`
  scope.effects.push({
    kind: 'notice',
    notice: {
      ...{ key, thread: incident?.thread ?? key, kind: 'approval', op: incident ? 'reply' : 'send' },
      ...{ severity: 'warning', sound, title, lines, service, wall: scope.wall },
      buttons: ['approve', 'deny', 'runbook'],
    },
  })
  if (incident) put(scope, tell(scope, incident, 'approval', `approval ${id} is asked for: ${title}`))
}
