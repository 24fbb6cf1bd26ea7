/** Building full specs from presets, as the document reader does. */
import { z } from 'zod'
import type { AnyPreset } from '../../schemas/mesh.ts'
import { type ServiceSpec, serviceSpec } from '../../schemas/service.ts'
import { presets } from '../../services/index.ts'

/** The spec that a preset makes of the settings. Throws if settings or spec are not valid. */
export function specOf(id: keyof typeof presets, settings: object, home: string): ServiceSpec {
  const preset: AnyPreset = presets[id]
  const parsed = z.strictObject(preset.settings).parse(settings)
  return serviceSpec.parse({
    ...preset.spec(parsed as never, { name: 'subject', home }),
    name: 'subject',
    preset: id,
  })
}
