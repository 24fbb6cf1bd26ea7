/** The version of this installation, from its package.json. */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The nearest package.json upwards: sources and compiled files lie at different depths. */
function readVersion(folder: string): string {
  try {
    const text = readFileSync(join(folder, 'package.json'), 'utf8')
    return (JSON.parse(text) as { version: string }).version
  } catch (error) {
    const parent = dirname(folder)
    if (parent === folder) throw error
    return readVersion(parent)
  }
}

/** The version of this installation. */
export const VERSION = readVersion(dirname(fileURLToPath(import.meta.url)))
