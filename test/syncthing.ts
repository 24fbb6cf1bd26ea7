/** Debian's Syncthing for the end-to-end tests, and homes for it. */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

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
