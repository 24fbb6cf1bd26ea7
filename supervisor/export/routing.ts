/**
 * An Alertmanager beside the supervisor: it sends on only what the supervisor cannot say of itself, so that nobody is
 * told twice, and knows the same inhibitions, so that whoever routes everything to it hears no more than here.
 */
import { RULES } from '../core/alert-rules.ts'
import { FOLLOWS, NEED_DOWN, SAME_SUBJECT } from '../core/inhibition.ts'
import { BY_PROMETHEUS, PREFIX, yaml } from './prometheus.ts'

/** Services with the services that they need themselves. */
export type Needs = ReadonlyMap<string, readonly string[]>

type Inhibition = { source_matchers: string[]; target_matchers: string[]; equal: string[] }

/** The configuration. Whom the receiver `second-channel` tells is for the operator to add. */
export function alertmanagerFile(needs: Needs): string {
  return yaml({
    route: {
      receiver: 'told-by-paios',
      group_by: ['alertname', 'service'],
      group_wait: '0s',
      group_interval: '5m',
      repeat_interval: '4h',
      routes: [
        { receiver: 'told-by-paios', matchers: [`alertname="${PREFIX}Watchdog"`] },
        { receiver: 'second-channel', matchers: [`told_by="${BY_PROMETHEUS.told_by}"`] },
      ],
    },
    receivers: [{ name: 'told-by-paios' }, { name: 'second-channel' }],
    inhibit_rules: [...ofOneSubject(), ...ofNeeds(needs)],
  })
}

function ofOneSubject(): Inhibition[] {
  return SAME_SUBJECT.map(({ by, holds }) => ({
    source_matchers: [`alertname="${PREFIX}${by}"`],
    target_matchers: [`alertname=~"${named(holds.filter((name) => name !== by))}"`],
    equal: ['service'],
  }))
}

/** Alertmanager knows no tree: each need, near or far, is a rule of its own. */
function ofNeeds(needs: Needs): Inhibition[] {
  return [...needs.keys()].flatMap((service) => {
    const all = [...allNeeds(needs, service)]
    if (all.length === 0) return []
    return [
      {
        source_matchers: [`alertname=~"${named(NEED_DOWN)}"`, `service=~"${all.join('|')}"`],
        target_matchers: [`alertname=~"${named(FOLLOWS)}"`, `service="${service}"`],
        equal: [],
      },
    ]
  })
}

function allNeeds(needs: Needs, service: string, seen: Set<string> = new Set()): Set<string> {
  for (const need of needs.get(service) ?? []) {
    if (seen.has(need)) continue
    seen.add(need)
    allNeeds(needs, need, seen)
  }
  return seen
}

/** Names as one regular expression; `Probe*` becomes the rules that begin so. */
function named(patterns: readonly string[]): string {
  const names = patterns.flatMap((pattern) =>
    pattern.endsWith('*')
      ? Object.keys(RULES).filter((name) => name.startsWith(pattern.slice(0, -1)))
      : [pattern],
  )
  return names.map((name) => `${PREFIX}${name}`).join('|')
}
