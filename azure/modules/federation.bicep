// Which service accounts of Kubernetes are which identity.
param issuer string
param namespace string
param pageIdentityName string
param pipelineIdentityName string
param migrationIdentityName string

resource pageIdentity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' existing = {
  name: pageIdentityName
}

resource pipelineIdentity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' existing = {
  name: pipelineIdentityName
}

resource migrationIdentity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' existing = {
  name: migrationIdentityName
}

resource page 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials@2023-01-31' = {
  parent: pageIdentity
  name: 'page'
  properties: {
    issuer: issuer
    subject: 'system:serviceaccount:${namespace}:chimp-page'
    audiences: [
      'api://AzureADTokenExchange'
    ]
  }
}

// One after the other: Azure refuses two at once on one identity.
resource ranker 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials@2023-01-31' = {
  parent: pageIdentity
  name: 'ranker'
  dependsOn: [
    page
  ]
  properties: {
    issuer: issuer
    subject: 'system:serviceaccount:${namespace}:chimp-ranker'
    audiences: [
      'api://AzureADTokenExchange'
    ]
  }
}

resource pipeline 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials@2023-01-31' = {
  parent: pipelineIdentity
  name: 'pipeline'
  properties: {
    issuer: issuer
    subject: 'system:serviceaccount:${namespace}:chimp-pipeline'
    audiences: [
      'api://AzureADTokenExchange'
    ]
  }
}

resource migration 'Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials@2023-01-31' = {
  parent: migrationIdentity
  name: 'migration'
  properties: {
    issuer: issuer
    subject: 'system:serviceaccount:${namespace}:chimp-migration'
    audiences: [
      'api://AzureADTokenExchange'
    ]
  }
}
