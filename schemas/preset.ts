/** What a preset is: a few Zod-validated settings turned into a full service spec. */
import type { z } from 'zod'
import type { importance, ServiceSpecInput } from './service.ts'

/** What a preset may know of where it runs. */
export type PresetContext = { readonly name: string; readonly home: string }

/** A preset as `defineService` makes it. */
export type Preset<Id extends string = string, Shape extends z.ZodRawShape = z.ZodRawShape> = {
  readonly id: Id
  /** One line for `paios schema` and the docs. */
  readonly summary: string
  readonly settings: Shape
  /** When the failure of such a service makes a sound, unless the document says otherwise; normal by default. */
  readonly importance?: z.output<typeof importance>
  readonly spec: (
    settings: z.output<z.ZodObject<Shape>>,
    context: PresetContext,
  ) => Omit<ServiceSpecInput, 'name' | 'preset'>
}

/** Declares a preset. */
export function defineService<const Id extends string, Shape extends z.ZodRawShape>(
  preset: Preset<Id, Shape>,
): Preset<Id, Shape> {
  return preset
}
