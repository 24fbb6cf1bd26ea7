import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { type NetworkInterfaceInfo, tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { mountpointOf, openHostWatch } from '../../supervisor/shell/host-watch.ts'
import { until } from '../e2e/mesh.ts'

const address = (address: string, internal = false) => [{ address, internal } as NetworkInterfaceInfo]
const ROUTE = 'Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n'
const DEFAULT = `${ROUTE}eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0\n`
const LINK = `${ROUTE}eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n`
const DEFAULT_V6 = `${'0'.repeat(32)} 00 ${'0'.repeat(32)} 00 fe80 00000400 00000001 00000000 00450003 eth0\n`
const REJECT_V6 = `${'0'.repeat(32)} 00 ${'0'.repeat(32)} 00 ${'0'.repeat(32)} ffffffff 00000001 00000000 00200200 lo\n`

const online = (interfaces: NodeJS.Dict<NetworkInterfaceInfo[]>, v4: string | null, v6: string | null) =>
  openHostWatch({ paths: () => [], interfaces: () => interfaces, routes: () => [v4, v6] }).figures().isOnline

describe('the watch over the machine', () => {
  it('is online with an address and a default route of either protocol', () => {
    assert.equal(online({ eth0: address('192.0.2.7') }, DEFAULT, ''), true)
    assert.equal(online({ eth0: address('2001:db8::7') }, ROUTE, DEFAULT_V6), true)
  })

  it('is offline without a route, with a route that refuses, or with the loopback alone', () => {
    assert.equal(online({ eth0: address('192.0.2.7') }, LINK, REJECT_V6), false)
    assert.equal(online({ lo: address('127.0.0.1', true) }, DEFAULT, ''), false)
    assert.equal(online({ eth0: address('169.254.3.4'), en1: address('fe80::1') }, DEFAULT, ''), false)
  })

  it('goes by addresses alone where the system has no table of routes', () => {
    assert.equal(online({ en0: address('192.0.2.7') }, null, null), true)
    assert.equal(online({ lo0: address('127.0.0.1', true) }, null, null), false)
  })

  it('believes what became of a message for a minute', () => {
    let now = 0
    const watch = openHostWatch({
      paths: () => [],
      interfaces: () => ({}),
      routes: () => [null, null],
      now: () => now,
    })
    watch.heard(true)
    assert.equal(watch.figures().isOnline, true)
    now = 60_000
    assert.equal(watch.figures().isOnline, false)
  })

  it('sees a network that has gone at the next look', () => {
    let now = 0
    let interfaces: NodeJS.Dict<NetworkInterfaceInfo[]> = { eth0: address('192.0.2.7') }
    const watch = openHostWatch({
      paths: () => [],
      interfaces: () => interfaces,
      routes: () => [DEFAULT, null],
      now: () => now,
    })
    interfaces = {}
    watch.look()
    assert.equal(watch.figures().isOnline, true)
    now = 10_000
    watch.look()
    assert.equal(watch.figures().isOnline, false)
  })

  it('shows each file system once, by the folder where it is mounted', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'phw-'))
    try {
      const watch = openHostWatch({ paths: () => [folder, join(folder, 'not/there'), '/proc'] })
      const [found] = await until('the disk was looked at', () => {
        const { filesystems } = watch.figures()
        return filesystems.length > 0 ? filesystems : null
      })
      assert.equal(found?.mountpoint, mountpointOf(folder))
      assert.ok(found && found.avail > 0 && found.avail <= found.size)
      assert.equal(watch.figures().filesystems.length, 1)
    } finally {
      rmSync(folder, { recursive: true })
    }
  })
})
