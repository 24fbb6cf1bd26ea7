import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { dashboardFiles } from '../../supervisor/export/grafana.ts'

type Panel = {
  id: number
  type: string
  title: string
  gridPos: { x: number; w: number }
  targets?: { refId: string; datasource: { uid: string } }[]
  options?: { reduceOptions?: { calcs: string[] } }
}
type Dashboard = {
  uid: string
  schemaVersion: number
  description: string
  panels: Panel[]
  templating: { list: { name: string; type: string }[] }
}

describe('the dashboards', () => {
  const files = dashboardFiles()

  it('are five, each with a name of its own', () => {
    const uids = [...files.values()].map((text) => (JSON.parse(text) as Dashboard).uid)
    assert.deepEqual(uids.sort(), [
      'paios-alert-path',
      'paios-host',
      'paios-overview',
      'paios-remedies',
      'paios-service',
    ])
  })

  for (const [name, text] of files) {
    it(`${name} has what Grafana fills in when somebody saves by hand`, () => {
      const { panels, schemaVersion, description, templating } = JSON.parse(text) as Dashboard
      assert.equal(schemaVersion, 42)
      assert.match(description, /Written by paios export/)
      assert.deepEqual(
        panels.map(({ id }) => id),
        panels.map((_, index) => index + 1),
      )
      for (const { type, title, targets = [], options, gridPos } of panels) {
        assert.ok(gridPos.x + gridPos.w <= 24, title)
        if (type !== 'row') assert.ok(targets.length > 0, title)
        if (type === 'stat') assert.deepEqual(options?.reduceOptions?.calcs, ['lastNotNull'])
        for (const [index, { refId, datasource }] of targets.entries()) {
          assert.equal(refId, 'ABCDEF'[index])
          assert.equal(datasource.uid, '${datasource}')
        }
      }
      const asked = text.includes('$service')
      assert.equal(
        templating.list.some(({ name: variable }) => variable === 'service'),
        asked,
      )
    })
  }
})
