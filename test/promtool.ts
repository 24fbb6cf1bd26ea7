/** Debian's promtool, for checks against the real Prometheus; unpacked into a cache, so that no service starts. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** The path of promtool, or null (with the reason on stderr) where it cannot be had. */
export function findPromtool(): string | null {
  const cache = join(
    process.env['PAIOS_TEST_CACHE'] ?? join(homedir(), '.cache', 'paios-brains'),
    'prometheus',
  )
  const path = join(cache, 'usr', 'bin', 'promtool')
  if (existsSync('/usr/bin/promtool')) return '/usr/bin/promtool'
  if (existsSync(path)) return path
  try {
    mkdirSync(cache, { recursive: true })
    const options = { cwd: cache, stdio: 'pipe' as const }
    try {
      execFileSync('apt-get', ['download', 'prometheus'], options)
    } catch {
      // A new machine has no package lists yet.
      execFileSync('apt-get', ['update'], options)
      execFileSync('apt-get', ['download', 'prometheus'], options)
    }
    const archive = readdirSync(cache).find((name) => name.endsWith('.deb'))
    execFileSync('dpkg', ['-x', archive ?? '', '.'], options)
    return path
  } catch (error) {
    process.stderr.write(`promtool is not to be had here: ${(error as Error).message}\n`)
    return null
  }
}
