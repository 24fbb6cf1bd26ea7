import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Facts, findingsOf } from '../../supervisor/boot/findings.ts'

const GIB = 1024 ** 3
const well: Facts = {
  home: '/h',
  boot: {
    init: 'systemd',
    file: '/u/paios.service',
    isInstalled: true,
    isDrifted: false,
    isWritable: false,
    isKnown: true,
    isEnabled: true,
    pid: 7,
    problem: null,
    unreachable: null,
    name: 'paios.service',
    look: 'systemctl --user status paios.service',
    lingers: true,
    caveat: null,
  },
  running: { pid: 7, under: 'init', copy: '1-a', keeper: 'none', documentProblem: null, stopped: [] },
  isTakenDown: false,
  isKeeperStale: false,
  versions: { current: { id: '1-a', node: 'v26.10.0' }, isBroken: false, asking: '1-a' },
  document: { path: '/h/paios.yaml', problem: null },
  services: [{ name: 'kb', missingSecrets: [], programOffPath: null, usesCopy: null }],
  takeover: { taken: [], owned: [] },
  sentinel: {
    missing: null,
    changed: null,
    hasOtherScript: false,
    looked: 1,
    quietMs: 60_000,
    script: '/h/bin/paios-sentinel',
    hasChat: true,
    mute: null,
    byCron: '* * * * * /bin/sh /p/bin/sentinel.sh /h up /n /p/bin/paios.mjs',
  },
  exposed: [],
  disk: { freeBytes: 50 * GIB, totalBytes: 100 * GIB },
  desktop: null,
}
const boot = (fields: Partial<Facts['boot']>): Partial<Facts> => ({ boot: { ...well.boot, ...fields } })
const running = (fields: Partial<NonNullable<Facts['running']>>): Partial<Facts> => ({
  running: { ...well.running!, ...fields },
})
const service = (fields: Partial<Facts['services'][number]>): Partial<Facts> => ({
  services: [{ ...well.services[0]!, ...fields }],
})
const taken = (fields: Partial<Facts['takeover']['taken'][number]>): Partial<Facts> => ({
  takeover: {
    owned: [],
    taken: [
      {
        service: 'gw',
        record: '/h/takeover/gw.json',
        interrupted: null,
        owner: 'o.service',
        back: null,
        ...fields,
      },
    ],
  },
})
const owned = (isObserved: boolean): Partial<Facts> => ({
  takeover: {
    taken: [],
    owned: [{ service: 'gw', owner: 'o.service', file: '/u/o.service', init: 'systemd', isObserved }],
  },
})
const sentinel = (fields: Partial<Facts['sentinel']>): Partial<Facts> => ({
  sentinel: { ...well.sentinel, ...fields },
})
const withoutInstallation = (fields: Partial<Facts['sentinel']>): Partial<Facts> => ({
  ...boot({ isInstalled: false }),
  ...sentinel(fields),
})
const MUTE = { what: 'it cannot', where: '/h/env', remedy: 'write it there' }
const ids = (facts: Partial<Facts>) =>
  findingsOf({ ...well, ...facts }).map(({ id, level }) => `${level} ${id}`)

describe('what doctor finds', () => {
  it('is nothing where all is well', () => {
    assert.deepEqual(findingsOf(well), [])
  })

  const cases: readonly (readonly [what: string, facts: Partial<Facts>, found: readonly string[]])[] = [
    ['neither systemd nor launchd', boot({ init: null, isInstalled: false }), ['wrong no-init']],
    ['not installed', boot({ isInstalled: false }), ['wrong not-installed']],
    ['a unit with other bytes', boot({ isDrifted: true }), ['wrong drift']],
    ['a plist that others may write', boot({ isWritable: true }), ['wrong writable']],
    ['a unit that is not loaded', boot({ isKnown: false }), ['wrong not-loaded']],
    ['a unit that is disabled', boot({ isEnabled: false }), ['wrong not-enabled']],
    ['a unit that fails', boot({ problem: 'exit-code' }), ['wrong init-failed']],
    ['systemd out of reach', boot({ unreachable: 'no bus', isKnown: null }), ['wrong init-unreachable']],
    ['a service that was taken over', taken({}), []],
    ['one whose owner was enabled again', taken({ back: 'enabled' }), ['wrong owner-back']],
    ['one whose owner runs again', taken({ back: 'running' }), ['wrong owner-back']],
    ['an interrupted takeover', taken({ interrupted: 'it was' }), ['wrong takeover-unfinished']],
    ['a service that is only watched', owned(true), ['note observed']],
    ['a port that systemd holds', owned(false), ['wrong port-owner']],
    ['no lingering', boot({ lingers: false }), ['wrong no-linger']],
    ['no logind to ask', boot({ lingers: null }), []],
    ['a sentinel whose timer is gone', sentinel({ missing: '/u/s.timer' }), ['wrong sentinel-missing']],
    ['a sentinel that is run otherwise', sentinel({ changed: '/u/s.timer' }), ['wrong sentinel-drift']],
    ['an old script of the sentinel', sentinel({ hasOtherScript: true }), ['wrong sentinel-other']],
    ['a sentinel that does not look', sentinel({ quietMs: 601_000 }), ['wrong sentinel-silent']],
    ['a sentinel without a token', sentinel({ mute: MUTE }), ['wrong sentinel-mute']],
    [
      'a chat and no sentinel',
      withoutInstallation({ looked: null, quietMs: 1e12, mute: MUTE }),
      ['wrong not-installed', 'note no-sentinel'],
    ],
    [
      'neither a chat nor a sentinel',
      withoutInstallation({ looked: null, hasChat: false }),
      ['wrong not-installed'],
    ],
    ['a sentinel of cron', withoutInstallation({}), ['wrong not-installed']],
    [
      'a sentinel of cron without a token',
      withoutInstallation({ mute: MUTE }),
      ['wrong not-installed', 'wrong sentinel-mute'],
    ],
    ['launchd, which starts at a login', boot({ init: 'launchd', lingers: null }), ['note login-only']],
    [
      'launchd that was never tried',
      boot({ init: 'launchd', caveat: 'x' }),
      ['note login-only', 'note untried'],
    ],
    ['no supervisor', { running: null }, ['wrong no-supervisor']],
    ['a mesh that is down', { running: null, isTakenDown: true }, ['note down']],
    [
      'a keeper in the place of systemd',
      running({ under: 'keeper', keeper: 'running' }),
      ['wrong not-under-init'],
    ],
    ['a supervisor in a terminal', running({ under: 'nobody' }), ['wrong unkept']],
    ['a keeper that is gone', running({ keeper: 'gone' }), ['wrong keeper-gone']],
    ['a stopped service', running({ stopped: [{ name: 'kb', since: 'x' }] }), ['note stopped']],
    ['an edit that is not applied', running({ documentProblem: 'changed' }), ['wrong unapplied']],
    ['an invalid document', { document: { path: '/h', problem: 'bad' } }, ['wrong document']],
    [
      'a link that leads nowhere',
      { versions: { ...well.versions, current: null, isBroken: true } },
      ['wrong no-version'],
    ],
    ['no version in force', { versions: { ...well.versions, current: null } }, ['wrong no-version']],
    [
      'an old Node',
      { versions: { ...well.versions, current: { id: '1-a', node: 'v24.1.0' } } },
      ['wrong node'],
    ],
    ['a supervisor of another copy', running({ copy: '0-z' }), ['wrong other-version']],
    ['a newer clone', { versions: { ...well.versions, asking: '2-b' } }, ['note upgrade']],
    [
      'a missing secret',
      service({ missingSecrets: [{ reference: '${env:K}', trouble: 'no K' }] }),
      ['wrong secret'],
    ],
    ['a program off the PATH', service({ programOffPath: 'tool' }), ['wrong off-path']],
    ['a command in a copy', service({ usesCopy: '/h/versions/0/bin/node' }), ['wrong uses-copy']],
    [
      'a readable home',
      { exposed: [{ path: '/h', why: 'others', isFolder: true, isReached: true }] },
      ['wrong exposed'],
    ],
    [
      'a readable secret in a closed home',
      { exposed: [{ path: '/h/env', why: 'others', isFolder: false, isReached: false }] },
      ['note open-mode'],
    ],
    [
      'a file of another user',
      { exposed: [{ path: '/h/env', why: 'owner', isFolder: false, isReached: false }] },
      ['wrong owner'],
    ],
    ['little disk', { disk: { freeBytes: GIB, totalBytes: 9 * GIB } }, ['note disk']],
    ['a screen that can show nothing', { desktop: 'notify-send is not installed' }, ['note desktop']],
    ['hardly any disk', { disk: { freeBytes: GIB / 4, totalBytes: 9 * GIB } }, ['wrong disk']],
  ]
  for (const [what, facts, found] of cases) {
    it(`tells ${what}`, () => assert.deepEqual(ids(facts), found))
  }

  it('puts what is wrong first, and says of each what, where and what to do', () => {
    const all = findingsOf({ ...well, ...boot({ init: 'launchd', isDrifted: true, lingers: null }) })
    assert.deepEqual(
      all.map(({ level }) => level),
      ['wrong', 'note'],
    )
    for (const { what, where, remedy } of all) assert.ok(what !== '' && where !== '' && remedy !== '')
  })

  it('names a keeper that died with its supervisor', () => {
    const [finding] = findingsOf({ ...well, running: null, isKeeperStale: true })
    assert.match(finding?.what ?? '', /its keeper is gone, too/)
  })
})
