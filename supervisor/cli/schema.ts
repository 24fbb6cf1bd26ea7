/** `paios schema`. */
import type { Command } from './command.ts'

/** Prints the JSON Schema of paios.yaml. */
export const command: Command = {
  usage: 'schema',
  about: 'Prints the JSON Schema of paios.yaml, made from the schema that checks it, for editors.',
  flags: {},
  operands: { min: 0, max: 0 },
  examples: [
    ['paios schema > ~/.paios/paios.schema.json', 'keep it beside the document'],
    [
      '# yaml-language-server: $schema=paios.schema.json',
      'the first line of paios.yaml, for completion in an editor',
    ],
  ],
  run: async ({ out }) => {
    const [{ meshJsonSchema }, { presets }] = await Promise.all([
      import('../../schemas/mesh.ts'),
      import('../../services/index.ts'),
    ])
    out(`${JSON.stringify(meshJsonSchema(presets), null, 2)}\n`)
    return 0
  },
}
