/** What can be in trouble beside services, with the rules of the table that say so, and findings as the rules make them. */
import type { Finding, Subject, Suppression } from '../../supervisor/core/alert.ts'
import { RULES } from '../../supervisor/core/alert-rules.ts'
import { findingOf } from '../../supervisor/core/alert-state.ts'
import type { Labels } from '../../supervisor/core/evaluate.ts'

/** One alert instance. */
export type Trouble = { readonly rule: string; readonly labels: Labels }

const disk = (mountpoint: string): Trouble[] =>
  ['DiskLow', 'DiskAlmostFull'].map((rule) => ({ rule, labels: { mountpoint } }))
const channel = (name: string): Trouble[] =>
  ['AlertChannelDown', 'AlertDeliveryDelayed', 'AlertUndeliverable'].map((rule) => ({
    rule,
    labels: { channel: name },
  }))
const alone = (...rules: string[]): Trouble[] => rules.map((rule) => ({ rule, labels: {} }))

/** The host and its network, disks, ways to the phone, the supervisor, its journal and document, runbooks. */
export const TROUBLES: readonly Trouble[] = [
  ...alone('MemoryLow', 'MemoryPressure'),
  ...disk('/'),
  ...disk('/data'),
  ...channel('telegram'),
  ...channel('ntfy'),
  ...alone('TelegramPollStalled', 'JournalWriteFailing', 'DocumentInvalid', 'SupervisorOverLimits'),
  ...alone('RuleEvaluationFailing', 'SupervisorUncleanStart'),
  { rule: 'SupervisorInternalErrors', labels: { component: 'outbox' } },
  { rule: 'DeadmanPingFailing', labels: { target: 'sentinel' } },
  { rule: 'RemediationFailed', labels: { runbook: 'kb' } },
]

/** What the rules make of it, held for these reasons. */
export function findingFor({ rule, labels }: Trouble, held: readonly Suppression[]): Finding {
  const instance = { labels, value: 1, since: 0, isFiring: true, lostAt: null }
  return findingOf(rule, RULES[rule]!, instance, held)
}

/** The reasons of its rule that are active; `isOfNetwork`: it fails for want of the network alone. */
export function heldOf(rule: string, active: readonly Suppression[], isOfNetwork: boolean): Suppression[] {
  const { heldBy, offlineOnly } = RULES[rule]!
  const isHeld = (reason: Suppression) => reason !== 'offline' || offlineOnly === undefined || isOfNetwork
  return heldBy.filter((reason) => active.includes(reason) && isHeld(reason))
}

/** Subjects on which everything else depends: what is critical about them sounds at any hour. */
const VITAL: readonly Subject['kind'][] = ['supervisor', 'host', 'filesystem', 'database']

export const isVital = ({ kind }: Subject): boolean => VITAL.includes(kind)
