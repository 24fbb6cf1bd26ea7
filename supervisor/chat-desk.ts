/** What the chat on the phone may have done, in terms of the control API; and the messages that ask for approvals. */
import { basename } from 'node:path'
import type { Approval } from './core/approval.ts'
import { PaiosError } from './errors.ts'
import type { Control } from './shell/api.ts'
import type { Repairs } from './shell/repairs.ts'
import type { Supervisor } from './shell/supervisor.ts'
import type { ChatPort, Press } from './shell/telegram-chat.ts'

/** What of a runbook fits into a message, in characters. */
const RUNBOOK_CHARS = 3_000
const KEY = /^approval-(\d+)$/

/** Connects the chat with everything that decides, and asks there for approvals. */
export function openChatDesk(supervisor: Supervisor, control: Control, repairs: Repairs): void {
  const { alerting, alerts } = supervisor
  const asked = ({ id, service, action, runbook, shown, expiresAt }: Approval) => {
    const lines = [...shown, `runbook ${runbook}`, `paios approve ${id}`]
    const forMs = Math.max(0, expiresAt - supervisor.clock.awake())
    alerting.tell({ kind: 'approval-asked', id, service, title: `${service}: ${action}`, lines, forMs })
  }
  const settled = ({ id, status, by }: Pick<Approval, 'id' | 'status' | 'by'>) =>
    alerting.tell({ kind: 'approval-settled', id, status, by })
  repairs.subscribe((event) => {
    if (event.kind === 'approvalAsked') asked(event.approval)
    else if (event.kind === 'approvalSettled') settled(event.approval)
  })
  // What was asked or decided in the last moment of an earlier supervisor.
  const known = alerting.standing().questions
  const all = repairs.approvals()
  for (const { id } of known)
    settled(all.find((one) => one.id === id) ?? { id, status: 'superseded', by: null })
  for (const one of all) if (one.status === 'pending' && !known.some(({ id }) => id === one.id)) asked(one)
  alerts.listening.connect(portOf(supervisor, control))
}

function portOf(supervisor: Supervisor, control: Control): ChatPort {
  const decide = async ({ key, by }: Press, verdict: 'approved' | 'denied') => {
    const id = Number(KEY.exec(key)?.[1])
    if (!Number.isSafeInteger(id)) throw new PaiosError('usage', 'this message asks for no approval')
    const { result, text } = await control.repairs.decide(id, verdict, by)
    return verdict === 'denied' && result === 'denied' ? 'denied: it is left as it is' : `${result}: ${text}`
  }
  return {
    acknowledge: ({ thread, by }) => control.alerts.acknowledge(thread, by).message,
    mute: ({ name, thread, forMs, because, by }) =>
      control.alerts.mute({ name: name ?? thread, rule: null, severity: null, forMs, because, by }).message,
    async restart({ service }) {
      if (service === null) throw new PaiosError('usage', 'this message is about no service')
      return (await control.restart(service, { now: false })).message
    },
    approve: (press) => decide(press, 'approved'),
    deny: (press) => decide(press, 'denied'),
    async runbookText({ service, thread }) {
      const { findRunbook, readRunbook } = await import('./document/runbook.ts')
      const shown = supervisor.services().find(({ name }) => name === service)
      const rule = supervisor.alerting.incidents().find((one) => one.thread === thread)?.lines[0]?.rule
      const path = shown?.runbook ?? (rule === undefined ? null : findRunbook('', rule))
      if (path === null || path === undefined)
        throw new PaiosError('unknown-runbook', 'there is no runbook for this')
      const { body } = readRunbook(path, false)
      const from = body.indexOf('## Check')
      return `${basename(path, '.md')}\n\n${body.slice(Math.max(0, from), from + RUNBOOK_CHARS).trim()}`
    },
    status: () =>
      supervisor
        .services()
        .map(({ name, state, reason }) => `${name}: ${state}${reason === null ? '' : `, ${reason}`}`),
    events: (count) =>
      control
        .events({ after: 0, limit: count, service: null, sinceMs: null })
        .map(({ at, subject, text }) => `${at.slice(11, 19)} ${subject} ${text}`),
  }
}
