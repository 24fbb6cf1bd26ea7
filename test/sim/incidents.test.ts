import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Notice } from '../../supervisor/core/alert.ts'
import { RULES } from '../../supervisor/core/alert-rules.ts'
import { SAME_SUBJECT } from '../../supervisor/core/inhibition.ts'
import { Dice } from './dice.ts'
import { DAY, HOUR, IncidentWorld, MINUTE, SECOND, type Tamper } from './incident-world.ts'
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

  const sabotage: Record<string, Tamper> = {
    'loses a message': (effects) =>
      effects.filter((effect) => effect.kind !== 'notice' || effect.notice.kind !== 'opened'),
    'never says that it is over': (effects) =>
      effects.filter((effect) => effect.kind !== 'notice' || effect.notice.kind !== 'closed'),
    'never says what came of an approval': (effects) =>
      effects.filter((effect) => effect.kind !== 'notice' || !isDecision(effect)),
    'does not save an incident': (effects) => effects.filter(({ kind }) => kind !== 'save-incident'),
    'forgets what it numbered': (effects) => effects.filter(({ kind }) => kind !== 'save-standing'),
    'makes every message sound': (effects) =>
      effects.map((effect) =>
        effect.kind === 'notice' ? { ...effect, notice: { ...effect.notice, sound: true } } : effect,
      ),
  }
  for (const [bug, tamper] of Object.entries(sabotage)) {
    it(`notices within fifty seeds an alerting that ${bug}`, () => {
      const seeds = Array.from({ length: 50 }, (_, index) => index + 1)
      assert.ok(seeds.some((seed) => runIncidents(seed, 1, tamper).violation !== null))
    })
  }

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
      const alarms = laptop.told.filter((notice) => !isByClock(notice))
      assert.deepEqual(alarms, [], `seed ${seed}`)
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
