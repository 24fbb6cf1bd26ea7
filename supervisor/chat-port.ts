/** What people in the chat may see and do: the same as at a terminal, by the same desk. */
import { readFileSync } from 'node:fs'
import type { JournalEvent, ServiceStatus } from '../schemas/status.ts'
import { approvalOf } from './core/approval-notices.ts'
import { PaiosError } from './errors.ts'
import type { Control } from './shell/api.ts'
import type { ChatPort, Press } from './shell/telegram-chat.ts'

/** Decides an approval; resolves to what came of it. */
export type Decide = (id: number, verdict: 'approved' | 'denied', by: string) => Promise<{ text: string }>

type Desk = Pick<Control, 'alerts' | 'restart' | 'status' | 'events'>

/** The port over a control. */
export function chatPort(control: Desk, decide: Decide): ChatPort {
  const { alerts } = control
  const decided = async (press: Press, verdict: 'approved' | 'denied') => {
    const id = approvalOf(press.thread)
    if (id === null) throw new PaiosError('usage', 'this message asks for nothing')
    return (await decide(id, verdict, press.by)).text || verdict
  }
  return {
    acknowledge: ({ thread, by }) => alerts.acknowledge(thread, by).message,
    mute({ name, thread, forMs, because, by }) {
      // What is about no service is silenced by its incident.
      const asked = name ?? thread
      if (asked === null) throw new PaiosError('usage', 'say what: /mute NAME 2h REASON')
      return alerts.mute({ name: asked, rule: null, severity: null, forMs, because, by }).message
    },
    async restart({ service }) {
      if (service === null) throw new PaiosError('usage', 'this message is about no service')
      return (await control.restart(service, { now: false })).message
    },
    approve: (press) => decided(press, 'approved'),
    deny: (press) => decided(press, 'denied'),
    runbookText({ thread }) {
      const { runbook } = alerts.show(thread)
      if (runbook === null) throw new PaiosError('refused', 'there is no runbook for this')
      return readFileSync(runbook, 'utf8').replace(/^---\n[\s\S]*?\n---\n/, '')
    },
    status() {
      const { services, warnings, alerts: told } = control.status()
      const bad = services.filter(({ state, incident }) => incident !== null || !WELL.has(state))
      const well = services.length - bad.length
      return [
        ...warnings.map((warning) => `! ${warning}`),
        ...bad.map(lineOf),
        `${well} of ${services.length} services are well; ${told}`,
      ]
    },
    events: (count) =>
      control.events({ after: 0, limit: count, service: null, sinceMs: null }).map(eventLine),
  }
}

const WELL = new Set(['running', 'stopped', 'absent'])

function lineOf({ name, state, reason, incident }: ServiceStatus): string {
  const why = reason === null ? '' : `: ${reason}`
  return `${name} ${state}${why}${incident === null ? '' : ` (${incident.id})`}`
}

const eventLine = ({ at, subject, text, kind }: JournalEvent): string =>
  `${new Date(at).toTimeString().slice(0, 8)} ${subject} ${text || kind}`
