import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Notice } from '../../supervisor/core/alert.ts'
import { RULES } from '../../supervisor/core/alert-rules.ts'
import type { Incident, IncidentEffect } from '../../supervisor/core/incident.ts'
import { SAME_SUBJECT } from '../../supervisor/core/inhibition.ts'
import { Dice } from './dice.ts'
import { DAY, HOUR, IncidentWorld, MINUTE, type Sabotage, SECOND } from './incident-world.ts'
import { runIncidents, START } from './incidents.ts'

const isMessage = ({ op }: Notice) => op !== 'edit'
const isDecision = ({ notice: { kind, op } }: { notice: Notice }) => kind === 'approval' && op === 'edit'
const isByClock = ({ kind, thread }: Notice) => kind === 'digest' || thread.startsWith('activity-')
const world = (seed: number, services: number, wall = START) => {
  const made = new IncidentWorld(new Dice(seed), services, wall)
  made.start()
  made.pass(3 * MINUTE)
  return made
}

describe('alerting in the simulator', () => {
  it('keeps every promise over a hundred days of faults and crashes', () => {
    for (let seed = 1; seed <= 100; seed++) {
      const { violation } = runIncidents(seed)
      assert.equal(violation, null, `seed ${seed}`)
    }
  })

  it('tells the same story for the same seed', () => {
    assert.deepEqual(runIncidents(7).world.told, runIncidents(7).world.told)
  })

  const isAboutService = ({ subject }: Incident) => subject.kind === 'service'
  const notices = (change: (notice: Notice) => Notice | null): Sabotage => ({
    tamper: (effects) =>
      effects.flatMap((effect): IncidentEffect[] => {
        if (effect.kind !== 'notice') return [effect]
        const notice = change(effect.notice)
        return notice === null ? [] : [{ ...effect, notice }]
      }),
  })
  const saved = (change: (incident: Incident) => Incident | null): Sabotage => ({
    tamper: (effects) =>
      effects.flatMap((effect): IncidentEffect[] => {
        if (effect.kind !== 'save-incident') return [effect]
        const incident = change(effect.incident)
        return incident === null ? [] : [{ ...effect, incident }]
      }),
  })
  const sabotage: Record<string, Sabotage> = {
    'loses a message': notices((notice) => (notice.kind === 'opened' ? null : notice)),
    'never says that it is over': notices((notice) => (notice.kind === 'closed' ? null : notice)),
    'never says what came of an approval': notices((notice) => (isDecision({ notice }) ? null : notice)),
    'does not save an incident': saved(() => null),
    'forgets what it numbered': {
      tamper: (effects) => effects.filter(({ kind }) => kind !== 'save-standing'),
    },
    'makes every message sound': notices((notice) => ({ ...notice, sound: true })),
    'loses what is not about a service': saved((incident) => (isAboutService(incident) ? incident : null)),
    'makes no sound for the machine': notices((notice) =>
      notice.service === null ? { ...notice, sound: false } : notice,
    ),
    'forgets why it told nobody': saved((incident) => ({
      ...incident,
      lines: incident.lines.map((line) => ({ ...line, silence: null })),
    })),
    'takes the machine for a service after a restart': saved((incident) =>
      isAboutService(incident) ? incident : { ...incident, subject: { kind: 'service', name: 's0' } },
    ),
    'holds offline what has nothing to do with the network': {
      blur: (findings, { isOnline }) =>
        isOnline ? findings : findings.map((finding) => ({ ...finding, held: ['offline'] })),
    },
    'never hears of disks': {
      blur: (findings) => findings.filter(({ subject }) => subject.kind !== 'filesystem'),
    },
  }
  for (const [bug, how] of Object.entries(sabotage)) {
    it(`notices within fifty seeds an alerting that ${bug}`, () => {
      const seeds = Array.from({ length: 50 }, (_, index) => index + 1)
      assert.ok(seeds.some((seed) => runIncidents(seed, 1, how).violation !== null))
    })
  }

  it('has every kind of subject in its stories', () => {
    const kinds = new Set<string>()
    for (let seed = 1; seed <= 20; seed++)
      for (const { subject } of runIncidents(seed).world.disk.incidents.values()) kinds.add(subject.kind)
    const named = new Set(Object.values(RULES).map(({ subject }) => subject.kind))
    assert.deepEqual([...kinds].sort(), [...named].sort())
  })

  it('makes a handful of messages of a thousand failures', () => {
    for (const everyMs of [0, SECOND]) {
      const stormy = world(1, 1000)
      for (const service of stormy.services.keys()) {
        stormy.faults.set(service, new Set(['ServiceDown']))
        if (everyMs > 0) stormy.pass(everyMs)
      }
      stormy.evaluate()
      stormy.pass(30 * MINUTE)
      const messages = stormy.told.filter((notice) => isMessage(notice) && !isByClock(notice))
      const most = everyMs === 0 ? 3 : 13
      assert.ok(messages.length <= most, `${messages.length} messages at one each ${everyMs} ms`)
    }
  })

  it('makes few messages of a night of flapping, whatever its rhythm', () => {
    for (const [downMs, upMs] of [
      [20, 10],
      [60, 60],
      [60, 240],
      [120, 600],
      [300, 900],
    ] as const) {
      const flapping = world(2, 1, START + 12 * HOUR)
      flapping.setImportance('s0', 'high')
      for (const end = flapping.at + 8 * HOUR; flapping.at < end; ) {
        flapping.fail('s0', 'ServiceDown')
        flapping.pass(downMs * SECOND)
        flapping.mend('s0')
        flapping.pass(upMs * SECOND)
      }
      const messages = flapping.told.filter((notice) => isMessage(notice) && !isByClock(notice))
      assert.ok(messages.length <= 12, `${messages.length} messages at ${downMs} s down, ${upMs} s up`)
      assert.ok(messages.some(({ sound }) => sound))
    }
  })

  it('raises no false alarm in a week of a laptop that sleeps, wakes and loses its network', () => {
    for (let seed = 1; seed <= 5; seed++) {
      const laptop = world(seed, 10)
      const { dice } = laptop
      for (const end = START + 7 * DAY; laptop.wall < end; ) {
        laptop.pass(dice.duration(10 * SECOND, 3 * HOUR))
        if (dice.chance(0.3)) {
          laptop.network(false)
          // What needs the network is not ready meanwhile.
          laptop.faults.set('s1', new Set(['ServiceDegraded']))
          laptop.awaiting.add('s1')
          laptop.pass(dice.duration(MINUTE, 2 * HOUR))
          laptop.faults.clear()
          laptop.evaluate()
          laptop.network(true)
        }
        laptop.sleep(dice.duration(MINUTE, 14 * HOUR))
        // Right after a wake everything looks down until it was probed again.
        for (const service of laptop.services.keys()) laptop.faults.set(service, new Set(['ServiceDown']))
        laptop.pass(dice.between(1, 80) * SECOND)
        laptop.faults.clear()
      }
      // That it is offline for five minutes is true, and one silent message.
      const told = [...laptop.disk.incidents.values()].filter((one) => one.told !== null || one.wasTold)
      const others = told.filter(({ subject }) => subject.kind !== 'host' || subject.name !== 'network')
      assert.deepEqual(others, [], `seed ${seed}`)
      const alarms = laptop.told.filter(
        (notice) => !isByClock(notice) && !notice.thread.startsWith('offline-'),
      )
      assert.deepEqual(alarms, [], `seed ${seed}`)
      assert.ok(laptop.told.every(({ sound }) => !sound))
      const digests = laptop.told.filter(({ kind }) => kind === 'digest')
      assert.ok(digests.length >= 5 && digests.length <= 8, `${digests.length} digests`)
    }
  })

  it('names rules that exist where one alert holds another', () => {
    for (const { by, holds } of SAME_SUBJECT) {
      assert.ok(by in RULES, by)
      for (const rule of holds)
        assert.ok(
          Object.keys(RULES).some((name) =>
            rule.endsWith('*') ? name.startsWith(rule.slice(0, -1)) : name === rule,
          ),
          rule,
        )
    }
  })
})
