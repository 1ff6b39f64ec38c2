// Microsoft Defender for what is used here. It costs, for the whole subscription: off unless main.bicep is told otherwise.
targetScope = 'subscription'

param plans array

resource pricing 'Microsoft.Security/pricings@2024-01-01' = [for plan in plans: {
  name: plan
  properties: {
    pricingTier: 'Standard'
  }
}]
