/**
 * The mesh document as people write it (`paios.yaml`). Its services are a union by `preset`, so the schema is
 * built from the register of presets: each option is the preset's own settings beside the common fields.
 */
import { z } from 'zod'
import { alerts } from './alerts.ts'
import { defaultLogs } from './logs.ts'
import type { PresetContext } from './preset.ts'
import {
  commonFields,
  type importance,
  intensity,
  need,
  type ServiceSpecInput,
  serviceName,
} from './service.ts'
import { duration } from './units.ts'

/** The preset of a service that names none. */
export const DEFAULT_PRESET = 'process'

/**
 * Port of the metrics endpoint on 127.0.0.1, next to the gateway's 18789 and below it, so that the two
 * never meet.
 */
export const DEFAULT_METRICS_PORT = 18_780

/**
 * Any preset, whatever its settings; what the register holds. `spec` gets the settings as its own shape
 * parsed them.
 */
export type AnyPreset = {
  readonly id: string
  readonly summary: string
  readonly settings: z.ZodRawShape
  readonly importance?: z.output<typeof importance>
  readonly spec: (settings: never, context: PresetContext) => Omit<ServiceSpecInput, 'name' | 'preset'>
}

/** The register of presets, by id. */
export type PresetRegister = Readonly<Record<string, AnyPreset>>

const timezone = z.string().refine(isTimezone, { error: 'is not a time zone such as Europe/Berlin' })

const env = z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, 'is not a variable name'), z.string())

const group = z.strictObject({
  /** Whom an unplanned restart of one of its nodes concerns: nobody else, all of them, or those after it. */
  strategy: z.enum(['one_for_one', 'one_for_all', 'rest_for_one']).default('one_for_one'),
  /** A budget that its nodes share. Used up, all of them stop, and the group counts as one failure of its parent. */
  intensity: intensity.optional(),
  /** The group that this one is inside of. */
  group: serviceName.optional(),
  /** What every member needs. */
  needs: z.array(need).default([]),
})

const metrics = z.strictObject({
  port: z.int().min(1).max(65_535).default(DEFAULT_METRICS_PORT),
  enabled: z.boolean().default(true),
})

/** A URL that is asked again and again while all is well; `${file:PATH}` and `${env:NAME}` are read each time. */
const deadman = z.strictObject({
  url: z.string().regex(/^(https?:\/\/|\$\{)/, 'must be an http or https URL'),
  every: duration.prefault('60s'),
})

/** One service as written: its preset and that preset's settings, with the common fields beside them. */
type ServiceEntry = { preset?: string | undefined; [setting: string]: unknown }

/**
 * The strict schema of the whole document. A setting of a preset wins over a common field of the same name.
 * The register must hold at least one preset.
 */
export function meshDocument(presets: PresetRegister) {
  const options = Object.values(presets).map((preset) => {
    const id = z.literal(preset.id)
    const shape = {
      preset: preset.id === DEFAULT_PRESET ? id.optional() : id,
      ...commonFields,
      ...preset.settings,
    }
    return z.strictObject(shape).meta({ title: preset.id, description: preset.summary })
  })
  const service = z.discriminatedUnion('preset', options as unknown as [z.ZodObject, ...z.ZodObject[]])
  return z.strictObject({
    version: z.literal(1),
    host: z.strictObject({ profile: z.enum(['always_on', 'laptop']).default('always_on') }).prefault({}),
    defaults: z
      .strictObject({
        timezone: timezone.optional(),
        env: env.default({}),
        logs: defaultLogs.default({}),
        maxFailedStart: duration.prefault('20s'),
      })
      .prefault({}),
    services: z.record(serviceName, service as z.ZodType<ServiceEntry>).default({}),
    groups: z.record(serviceName, group).default({}),
    metrics: metrics.prefault({}),
    alerts: alerts.optional(),
    deadman: deadman.optional(),
  })
}

/** The document as the program sees it once it is valid. */
export type MeshDocument = z.output<ReturnType<typeof meshDocument>>

/** JSON Schema (draft 2020-12) of what people write, for editors and `paios schema`. */
export function meshJsonSchema(presets: PresetRegister): Record<string, unknown> {
  const schema = z.toJSONSchema(meshDocument(presets), {
    io: 'input',
    unrepresentable: 'any',
    // The probes and the common fields are the same in every preset: written out in each they are a megabyte.
    reused: 'ref',
  })
  return { title: 'PAIOS mesh document', ...schema }
}

function isTimezone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone !== ''
  } catch {
    // An unknown zone is a RangeError; there is no way to ask without one that knows the aliases.
    return false
  }
}
