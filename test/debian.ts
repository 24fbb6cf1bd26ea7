/** Programs of Debian for the tests, unpacked into the cache of the brains, so that no service starts. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { cacheRoot } from './brains.ts'

/** The path of a package's program, or null (with the reason on stderr) where it cannot be had. */
export function findDebian(name: string, program: string): string | null {
  const installed = `/usr/bin/${program}`
  if (existsSync(installed)) return installed
  const cache = join(cacheRoot(), name)
  const path = join(cache, installed)
  if (existsSync(path)) return path
  try {
    mkdirSync(cache, { recursive: true })
    const options = { cwd: cache, stdio: 'pipe' as const }
    try {
      execFileSync('apt-get', ['download', name], options)
    } catch {
      // A new machine has no package lists yet.
      execFileSync('apt-get', ['update'], options)
      execFileSync('apt-get', ['download', name], options)
    }
    const archive = readdirSync(cache).find((file) => file.endsWith('.deb'))
    execFileSync('dpkg', ['-x', archive ?? '', '.'], options)
    return path
  } catch (error) {
    process.stderr.write(`${program} is not to be had here: ${(error as Error).message}\n`)
    return null
  }
}
