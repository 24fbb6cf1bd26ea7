/** The version of this installation, and what to say where the supervisor's is another. */
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** The version in the package.json beside `bin/`. `entry` is the absolute path of bin/paios.mjs. */
export function ownVersion(entry: string): string {
  const text = readFileSync(join(dirname(dirname(entry)), 'package.json'), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

/** A sentence where the two versions differ, null where they are the same. */
export function versionGap(own: string, supervisor: string): string | null {
  if (own === supervisor) return null
  return `this paios is ${own} and the supervisor ${supervisor}: 'paios upgrade' swaps it`
}
