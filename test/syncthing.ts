/** Debian's Syncthing for the end-to-end tests, unpacked into the cache so that no service starts, and homes for it. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

/** The path of the program, or null (with the reason on stderr) where it cannot be had. */
export function findSyncthing(): string | null {
  if (existsSync('/usr/bin/syncthing')) return '/usr/bin/syncthing'
  const cache = join(
    process.env['PAIOS_TEST_CACHE'] ?? join(homedir(), '.cache', 'paios-brains'),
    'syncthing',
  )
  const path = join(cache, 'usr', 'bin', 'syncthing')
  if (existsSync(path)) return path
  try {
    mkdirSync(cache, { recursive: true })
    const options = { cwd: cache, stdio: 'pipe' as const }
    try {
      execFileSync('apt-get', ['download', 'syncthing'], options)
    } catch {
      // A new machine has no package lists yet.
      execFileSync('apt-get', ['update'], options)
      execFileSync('apt-get', ['download', 'syncthing'], options)
    }
    const archive = readdirSync(cache).find((name) => name.endsWith('.deb'))
    execFileSync('dpkg', ['-x', archive ?? '', '.'], options)
    return path
  } catch (error) {
    process.stderr.write(`syncthing is not to be had here: ${(error as Error).message}\n`)
    return null
  }
}

/** What keeps it on this machine: no discovery, no relays, no port mapping, no reports, no look for new versions. */
const QUIET: Readonly<Record<string, string>> = {
  globalAnnounceEnabled: 'false',
  localAnnounceEnabled: 'false',
  relaysEnabled: 'false',
  natEnabled: 'false',
  urAccepted: '-1',
  autoUpgradeIntervalH: '0',
  crashReportingEnabled: 'false',
  stunKeepaliveStartS: '0',
}

/** Makes a home whose device listens on this loopback port only and talks to nobody. Returns the path of config.xml. */
export function makeHome(program: string, home: string, listenPort: number): string {
  execFileSync(program, ['generate', `--home=${home}`, '--no-default-folder', '--skip-port-probing'], {
    stdio: 'pipe',
  })
  const path = join(home, 'config.xml')
  let text = readFileSync(path, 'utf8')
  const options = { ...QUIET, listenAddress: `tcp://127.0.0.1:${listenPort}` }
  for (const [name, value] of Object.entries(options)) {
    const element = new RegExp(`<${name}>[^<]*</${name}>`)
    if (!element.test(text)) throw new Error(`config.xml has no ${name}`)
    text = text.replace(element, `<${name}>${value}</${name}>`)
  }
  writeFileSync(path, text)
  return path
}
