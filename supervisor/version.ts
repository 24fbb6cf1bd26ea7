/** Where this installation lies, and its version, from its package.json. */
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The folder of the nearest package.json upwards: sources and compiled files lie at different depths. */
function findRoot(folder: string): string {
  if (existsSync(join(folder, 'package.json'))) return folder
  const parent = dirname(folder)
  if (parent === folder) throw new Error('there is no package.json above the program')
  return findRoot(parent)
}

/** The folder of this installation. */
export const ROOT = findRoot(dirname(fileURLToPath(import.meta.url)))

/** The folder of the runbooks that ship with the presets. */
export const RUNBOOKS = join(ROOT, 'runbooks')

/** The version of this installation. */
export const VERSION = (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string })
  .version
