/**
 * The front matter of a runbook: which faults it is for, and the steps that the supervisor may take by itself or
 * after somebody's approval. Actions and checks are closed catalogues: here is what each may be told, how dangerous
 * it is at least (its floor), and what must be so before it; supervisor/shell/remedies.ts carries them out.
 */
import { z } from 'zod'
import { argv, serviceName } from './service.ts'
import { duration, pattern, size } from './units.ts'

/** safe: done without asking; ask: done after an approval; never: only told. In the order of their strictness. */
export const CLASSES = ['safe', 'ask', 'never'] as const
/** How far the supervisor may go with a step. */
export type StepClass = (typeof CLASSES)[number]

const stepId = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,29}$/, 'expected lower-case letters, digits and - (at most 30)')
const probe = z.string().min(1).max(40).optional()
const port = z.int().min(1).max(65_535).optional()

/** What may be looked at, before and after an action. */
const checks = {
  /** It runs and each of its readiness probes passes. */
  'service.ready': {},
  /** It is to run: nobody has stopped it, and the mesh is up. */
  'service.wanted': {},
  /** It has no process of its own, so nothing is changed under one. */
  'service.down': {},
  /** One of its probes passes now, else all of them. */
  'probe.ok': { probe },
  /** Nobody listens on its port. */
  'port.free': { port },
  /** No lock file names an owner that may live. */
  'lock.free': { probe },
  /** Its configuration is valid by its own check. */
  'config.valid': { probe },
  /** A copy of its configuration with which it was ready is kept, and another one is in place now. */
  'config.has_last_good': { probe },
  /** Room on the disk that holds the home. */
  'disk.free': { min: size },
} as const satisfies Record<string, z.ZodRawShape>
/** The name of a check. */
export type CheckId = keyof typeof checks

type ActionSpec = {
  readonly floor: StepClass
  /** False: it only looks, or writes what it found below the home; it needs no verification. */
  readonly changes: boolean
  /** True: doing it a second time does nothing more. */
  readonly idempotent: boolean
  /** What must be so, whatever the runbook says. */
  readonly pre: readonly CheckId[]
  readonly with: z.ZodRawShape
}

/** THE catalogue of actions. */
export const actions = {
  'diagnostics.collect': {
    ...{ floor: 'safe', changes: false, idempotent: true, pre: [] },
    with: { lines: z.int().min(1).max(2_000).default(200) },
  },
  'probe.run': { floor: 'safe', changes: false, idempotent: true, pre: [], with: { probe } },
  'service.await': { floor: 'safe', changes: false, idempotent: true, pre: [], with: {} },
  'port.find_holder': { floor: 'safe', changes: false, idempotent: true, pre: [], with: { port } },
  'service.restart': {
    ...{ floor: 'safe', changes: true, idempotent: true, pre: ['service.wanted'] },
    with: { now: z.boolean().default(false) },
  },
  'service.start': {
    ...{ floor: 'safe', changes: true, idempotent: true, pre: ['service.wanted', 'service.down'] },
    with: {},
  },
  'mcp.reprobe': { floor: 'safe', changes: false, idempotent: true, pre: [], with: {} },
  'lock.remove_stale': {
    ...{ floor: 'safe', changes: true, idempotent: true, pre: ['service.down'] },
    with: { probe },
  },
  'port.end_own': {
    ...{ floor: 'safe', changes: true, idempotent: true, pre: ['service.down'] },
    with: { port },
  },
  'sqlite.checkpoint': { floor: 'safe', changes: true, idempotent: true, pre: [], with: { probe } },
  'config.restore_last_good': {
    ...{ floor: 'ask', changes: true, idempotent: false, pre: ['service.down', 'config.has_last_good'] },
    with: { probe },
  },
  'config.undo_restore': { floor: 'ask', changes: true, idempotent: true, pre: [], with: { probe } },
  'command.run': { floor: 'ask', changes: true, idempotent: false, pre: [], with: { command: argv } },
  tell: {
    floor: 'never',
    changes: false,
    idempotent: true,
    pre: [],
    with: { text: z.string().min(1).max(500) },
  },
} as const satisfies Record<string, ActionSpec>
/** The name of an action. */
export type ActionId = keyof typeof actions

type WithOf<S extends z.ZodRawShape> = z.ZodPrefault<z.ZodObject<S, z.core.$strict>>
const withOf = <S extends z.ZodRawShape>(shape: S) =>
  z.strictObject(shape).prefault({} as never) as unknown as WithOf<S>

type CheckOption = {
  [K in CheckId]: z.ZodObject<{ check: z.ZodLiteral<K>; with: WithOf<(typeof checks)[K]> }, z.core.$strict>
}[CheckId]
const checkOptions = Object.entries(checks).map(([id, shape]) =>
  z.strictObject({ check: z.literal(id), with: withOf(shape) }),
) as unknown as [CheckOption, ...CheckOption[]]
const check = z.discriminatedUnion('check', checkOptions)
/** A check with what it is told. */
export type RunbookCheck = z.output<typeof check>

/**
 * Facts: `service.state`, `service.reason`, `service.owned` (yes where its process is ours), `alert.rule`,
 * `run.repaired` (yes once a step of this run was verified), and `steps.ID.result` and what else an earlier step found.
 */
const condition = z
  .strictObject({
    fact: z
      .string()
      .regex(
        /^(service\.(state|reason|warnings|preset|kind|owned)|alert\.rule|run\.repaired|steps\.[a-z0-9-]+\.\w+)$/,
        {
          error:
            'expected service.state, service.reason, service.owned, alert.rule, run.repaired or steps.ID.result',
        },
      ),
    in: z.array(z.string()).min(1).optional(),
    notIn: z.array(z.string()).min(1).optional(),
    matches: pattern.optional(),
  })
  .refine((set) => [set.in, set.notIn, set.matches].filter((one) => one !== undefined).length === 1, {
    error: 'needs one of in, notIn and matches',
  })
/** One condition of a step. */
export type RunbookCondition = z.output<typeof condition>

/** How often, and how soon again, a runbook may run by itself for one service. */
const auto = z.strictObject({
  enabled: z.boolean().default(true),
  maxRuns: z.int().min(1).max(10).default(3),
  window: duration.prefault('1h'),
  cooldown: duration.prefault('5m'),
  /** Whether it may run by itself from 23:00 to 08:00. */
  quietHours: z.enum(['allow', 'hold']).default('allow'),
  /** Outcomes of a step after which the rest is not tried, whatever the step says. */
  stopOn: z.array(z.enum(['failed', 'verifyFailed', 'refused'])).default([]),
})

const rollback = z.strictObject({
  action: z.literal('config.undo_restore'),
  with: withOf(actions['config.undo_restore'].with),
})

const common = {
  id: stepId,
  class: z.enum(CLASSES).optional(),
  when: z.array(condition).default([]),
  pre: z.array(check).default([]),
  timeout: duration.prefault('30s'),
  verify: z.strictObject({ checks: z.array(check).min(1), within: duration.prefault('60s') }).optional(),
  rollback: rollback.optional(),
  onFailure: z.enum(['stop', 'next']).optional(),
  idempotent: z.literal(false).optional(),
  approval: z
    .strictObject({ expires: duration.prefault('30m'), onExpire: z.enum(['stop', 'next']).default('stop') })
    .prefault({}),
}

type Actions = typeof actions
type StepOption = {
  [K in ActionId]: z.ZodObject<
    { action: z.ZodLiteral<K>; with: WithOf<Actions[K]['with']> } & typeof common,
    z.core.$strict
  >
}[ActionId]
const stepOptions = Object.entries(actions).map(([id, action]) =>
  z.strictObject({ action: z.literal(id), with: withOf(action.with), ...common }),
) as unknown as [StepOption, ...StepOption[]]

const steps = z
  .array(z.discriminatedUnion('action', stepOptions))
  .default([])
  .superRefine((list, context) => {
    const wrong = (index: number, key: string, message: string) =>
      context.addIssue({ code: 'custom', path: [index, key], message })
    for (const [index, step] of list.entries()) {
      const { floor, changes } = actions[step.action]
      const earlier = list.slice(0, index).map(({ id }) => id)
      if (earlier.includes(step.id)) wrong(index, 'id', `the step \`${step.id}\` is there twice`)
      if (step.class !== undefined && CLASSES.indexOf(step.class) < CLASSES.indexOf(floor))
        wrong(index, 'class', `${step.action} is \`${floor}\` at least; a runbook can only make it stricter`)
      if (changes && step.verify === undefined && step.class !== 'never')
        wrong(index, 'verify', `is missing: ${step.action} changes something, so it must be verified`)
      for (const { fact } of step.when) {
        const about = /^steps\.([^.]+)\./.exec(fact)?.[1]
        if (about !== undefined && !earlier.includes(about))
          wrong(index, 'when', `\`${fact}\` is about a step that does not come before this one`)
      }
    }
  })
  .transform((list) => list.map(settle))

/** A step with everything that the catalogue says of its action. */
function settle(step: z.output<StepOption>) {
  const { floor, changes, idempotent, pre } = actions[step.action]
  return {
    ...step,
    class: step.class ?? floor,
    changes,
    idempotent: step.idempotent ?? idempotent,
    pre: [...pre.map((id) => ({ check: id, with: {} }) as RunbookCheck), ...step.pre],
    verify: step.verify ?? null,
    rollback: step.rollback ?? null,
    onFailure: step.onFailure ?? (changes ? ('stop' as const) : ('next' as const)),
  }
}

const day = z.iso.date({ error: 'expected a day such as 2026-11-21' })

/** The front matter as people write it. A runbook is for a preset, for alerts, or an operator's own for one service. */
export const runbookHead = z.strictObject({
  id: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,59}$/, 'expected letters, digits, - and _ (at most 60)'),
  title: z.string().min(1).max(100),
  version: z.int().min(1),
  /** The preset that it belongs to. */
  preset: z.string().optional(),
  /** Rules whose incidents its steps are for, without the prefix `Paios`. */
  alerts: z.array(z.string().regex(/^[A-Z][A-Za-z0-9]*$/, 'expected a rule such as ServiceDown')).default([]),
  /** Services for which it runs; all where it says nothing. */
  applies: z
    .strictObject({
      presets: z.array(z.string()).min(1).optional(),
      services: z.array(serviceName).min(1).optional(),
    })
    .prefault({}),
  /** The day on which somebody last compared it with the program. */
  reviewed: day,
  /** The day on which somebody last followed it on a fault that was made for that. */
  drilled: day.optional(),
  auto: auto.prefault({}),
  steps,
})

/** A runbook's front matter as the program sees it. */
export type Runbook = z.output<typeof runbookHead>
/** One step of it. */
export type RunbookStep = Runbook['steps'][number]
