import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { METRICS } from '../../schemas/metrics.ts'
import { activeIn, heldByOf } from '../../supervisor/core/alert-held.ts'
import { PROMETHEUS_RULES, RULES } from '../../supervisor/core/alert-rules.ts'
import { type Samples, seriesKey, vector } from '../../supervisor/core/evaluate.ts'
import { movedIn, type Windows } from '../../supervisor/core/windows.ts'
import { countMoves, type Series, STEP_SECONDS } from '../../supervisor/export/examples.ts'
import { DASHBOARDS } from '../../supervisor/export/grafana.ts'
import { rulePromql } from '../../supervisor/export/promql.ts'
import { findDebian } from '../debian.ts'
import { freePort, type Prometheus, promtool, startPrometheus } from '../prometheus.ts'
import { createMesh, fixture, type TestMesh, until } from './mesh.ts'
import { makeSeries, openMetrics } from './prometheus-data.ts'

/** Without the program CI fails, and elsewhere its absence is said. */
const skip = promtool === null && process.env['CI'] === undefined ? 'NOT RUN: no prometheus here' : false
/** The longest window of a rule, so that both engines have seen all of it. */
const WARM = 120
const STEPS = 1_500

const folder = mkdtempSync('/tmp/pprom-')
after(() => rmSync(folder, { recursive: true, force: true }))

function run(program: string | null, args: readonly string[]): string {
  assert.ok(program, 'CI must have the program')
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8', cwd: folder })
  assert.equal(status, 0, `${stdout}${stderr}`)
  return stdout
}

describe('paios export', { skip }, () => {
  const mesh = createMesh()
  const out = join(folder, 'out')
  before(() => {
    mesh.write({ kb: { command: ['sleep'] }, web: { command: ['sleep'], needs: ['kb'] } })
  })
  after(() => mesh.end())

  it('writes rules that promtool takes, and whose examples fire and stay silent in Prometheus, too', async () => {
    const { code, stdout, stderr } = await mesh.cli(['export', 'prometheus', '--out', out])
    assert.equal(code, 0, stderr)
    assert.match(stdout, /^wrote .*paios\.rules\.yml$/m)
    assert.match(run(promtool, ['check', 'rules', join(out, 'paios.rules.yml')]), /SUCCESS: \d+ rules found/)
    run(promtool, ['check', 'config', join(out, 'prometheus.yml')])
    run(promtool, ['test', 'rules', join(out, 'paios.rules.test.yml')])
  })

  it('writes an Alertmanager configuration that amtool takes, with the needs of the mesh', async (t) => {
    const { code, stderr } = await mesh.cli(['export', 'alertmanager', '--out', out])
    assert.equal(code, 0, stderr)
    const path = join(out, 'alertmanager.yml')
    assert.match(readFileSync(path, 'utf8'), /service=~"kb"[\s\S]*service="web"/)
    const amtool = findDebian('prometheus-alertmanager', 'amtool')
    if (amtool === null && process.env['CI'] === undefined) return t.skip('NOT RUN: no amtool here')
    assert.match(run(amtool, ['check-config', path]), /SUCCESS/)
    const routed = (...labels: string[]) =>
      run(amtool, ['config', 'routes', 'test', `--config.file=${path}`, ...labels]).trim()
    assert.equal(routed('alertname=PaiosServiceDown', 'severity=critical'), 'told-by-paios')
    assert.equal(routed('alertname=PaiosSupervisorDown', 'told_by=prometheus'), 'second-channel')
    assert.equal(routed('alertname=PaiosWatchdog', 'told_by=prometheus'), 'told-by-paios')
  })

  it('overwrites its own files, and none that something else has written', async () => {
    assert.equal((await mesh.cli(['export', 'grafana', '--out', out])).code, 0)
    assert.equal((await mesh.cli(['export', 'grafana', '--out', out])).code, 0)
    writeFileSync(join(out, 'prometheus.yml'), 'scrape_configs: []\n')
    writeFileSync(join(out, 'paios.rules.yml'), '# Written by paios export\n')
    const { code, stderr } = await mesh.cli(['export', 'prometheus', '--out', out])
    assert.equal(code, 5)
    assert.match(stderr, /prometheus\.yml was not written by paios export/)
    assert.equal(readFileSync(join(out, 'paios.rules.yml'), 'utf8'), '# Written by paios export\n')
  })

  it('says what it can export, and where to', async () => {
    const { code, stderr } = await mesh.cli(['export', 'nagios', '--out', out])
    assert.equal(code, 2)
    assert.match(stderr, /prometheus, alertmanager, grafana/)
    assert.match((await mesh.cli(['export', 'grafana'])).stderr, /--out DIR/)
  })
})

/** What the evaluator yields of one rule, by step: its series with their values. */
function ownResults(all: readonly Series[], start: number) {
  const byMetric = Map.groupBy(all, ({ metric }) => metric)
  const moves: Windows = new Map()
  const steps: Map<string, Map<string, number>>[] = []
  for (let step = 0; step < WARM + STEPS; step++) {
    countMoves(moves, all, step)
    const now = start + step * STEP_SECONDS
    const samples: Samples = {
      present: (metric) =>
        (byMetric.get(metric) ?? []).map(({ labels, values }) => ({ labels, value: values[step]! })),
      moved: (metric, window) => movedIn(moves, metric, window * 1000, step * STEP_SECONDS * 1000),
    }
    const active = activeIn(samples)
    const results = Object.entries(RULES).map(([name, rule]) => {
      const held = heldByOf(rule, active, samples, now)
      const found = vector(rule.when, samples, now).filter(({ labels }) => held(labels).length === 0)
      return [name, new Map(found.map(({ labels, value }) => [seriesKey(labels), value]))] as const
    })
    steps.push(new Map(results))
  }
  return steps
}

describe('the evaluator beside a real Prometheus', { skip }, () => {
  const start =
    Math.floor(Date.now() / 1000 / STEP_SECONDS) * STEP_SECONDS - (WARM + STEPS) * STEP_SECONDS - 7_200
  const all = makeSeries(start, WARM + STEPS, STEP_SECONDS)
  let own: ReturnType<typeof ownResults>
  let prometheus: Prometheus

  before(async () => {
    const [text, data] = [join(folder, 'samples.txt'), join(folder, 'blocks')]
    mkdirSync(data)
    writeFileSync(text, openMetrics(all, start, STEP_SECONDS))
    run(promtool, ['tsdb', 'create-blocks-from', 'openmetrics', '-q', text, data])
    own = ownResults(all, start)
    prometheus = await startPrometheus(folder, 'global: {}\n', data)
  })
  after(() => prometheus.end())

  for (const [name, rule] of Object.entries(RULES)) {
    it(`yields the same for ${name} at each of ${STEPS} steps`, async () => {
      const [from, until] = [start + WARM * STEP_SECONDS, start + (WARM + STEPS - 1) * STEP_SECONDS]
      const found = await prometheus.range(rulePromql(rule), from, until, STEP_SECONDS)
      const theirs = Array.from({ length: WARM + STEPS }, () => new Map<string, number>())
      for (const {
        metric: { __name__: _, ...labels },
        values,
      } of found) {
        for (const [at, value] of values)
          theirs[Math.round((at - start) / STEP_SECONDS)]!.set(seriesKey(labels), Number(value))
      }
      let fired = 0
      for (let step = WARM; step < WARM + STEPS; step++) {
        const mine = own[step]!.get(name)!
        fired += mine.size
        assert.deepEqual([...mine.keys()].sort(), [...theirs[step]!.keys()].sort(), `${name} at step ${step}`)
        for (const [key, value] of mine) {
          const other = theirs[step]!.get(key)!
          assert.ok(
            Math.abs(value - other) <= 1e-6 * Math.max(1, Math.abs(value)),
            `${value} is not ${other}`,
          )
        }
      }
      assert.ok(fired > 0, 'it never fired, so nothing was compared')
    })
  }
})

describe('the dashboards over a real mesh', { skip }, () => {
  const mesh: TestMesh = createMesh()
  let prometheus: Prometheus
  before(async () => {
    const port = await freePort()
    const probed = await freePort()
    mesh.write(
      {
        kb: {
          command: fixture('listens.mjs', String(probed)),
          probes: [{ kind: 'tcp', role: 'readiness', port: probed, every: '1s' }],
        },
        loop: { command: ['/bin/sh', '-c', 'sleep 1; exit 3'], intensity: { max: 100, within: '10m' } },
      },
      { metrics: { port } },
    )
    await mesh.cli(['up', '--no-wait'])
    const out = join(folder, 'watched')
    assert.equal((await mesh.cli(['export', 'prometheus', '--out', out])).code, 0)
    const config = readFileSync(join(out, 'prometheus.yml'), 'utf8')
      .replaceAll('_interval: 15s', '_interval: 1s')
      .replace(/^alerting:[\s\S]*?(?=^\S+_configs)/m, '')
    mkdirSync(join(folder, 'scraped'))
    prometheus = await startPrometheus(out, config, join(folder, 'scraped'))
    const crashes = 'increase(paios_service_exits_total{service="loop",cause="error"}[1m]) > 1'
    await until('some seconds with crashes were scraped', async () => {
      const found = await prometheus.instant(`${crashes} and on () count_over_time(paios_build_info[1m]) > 8`)
      return found.length > 0
    })
  })
  after(async () => {
    await prometheus.end()
    await mesh.end()
  })

  it('stand beside rules that this Prometheus evaluates without a fault', async () => {
    type Rule = { name: string; health: string }
    const rules = await until('every rule was evaluated', async (): Promise<Rule[] | null> => {
      const { groups } = (await prometheus.get('/api/v1/rules')) as { groups: { rules: Rule[] }[] }
      const all = groups.flatMap((group) => group.rules)
      return all.every(({ health }) => health !== 'unknown') ? all : null
    })
    assert.equal(rules.length, Object.keys({ ...RULES, ...PROMETHEUS_RULES }).length)
    assert.deepEqual(
      rules.filter(({ health }) => health !== 'ok'),
      [],
    )
  })

  it('ask only for metrics that are declared', () => {
    for (const { rows } of DASHBOARDS) {
      for (const { expr } of rows.flatMap(({ panels }) => panels.flatMap(({ queries }) => queries))) {
        const names = [...expr.matchAll(/paios_(\w+?)(?:_bucket)?\b(?=[{[\s)]|$)/g)].map(([, name]) => name!)
        assert.ok(names.length > 0, expr)
        for (const name of names) assert.ok(name in METRICS, `${name} is not declared`)
      }
    }
  })

  it('find the services for their variable', async () => {
    const values = await prometheus.get('/api/v1/label/service/values?match[]=paios_service_info')
    assert.deepEqual(values, ['kb', 'loop'])
  })

  for (const { title, rows } of DASHBOARDS) {
    for (const panel of rows.flatMap(({ panels }) => panels)) {
      it(`show something in ${title} / ${panel.title}`, async () => {
        for (const { expr, isInstant } of panel.queries) {
          const asked = expr.replaceAll('$__rate_interval', '5s').replaceAll('$service', 'kb')
          assert.doesNotMatch(asked, /\$/)
          const now = Math.floor(Date.now() / 1000)
          const found = isInstant
            ? await prometheus.instant(asked)
            : await prometheus.range(asked, now - 10, now, 1)
          if (panel.emptyWhen === null) assert.ok(found.length > 0, `${asked} shows nothing`)
        }
      })
    }
  }
})
